"""Locust's own FastHttpUser and its `iter_lines`."""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import json  # noqa: E402
import time  # noqa: E402

import gevent  # noqa: E402
from locust.contrib.fasthttp import FastHttpUser  # noqa: E402
from locust.env import Environment  # noqa: E402

from benchmarks.clients.common import BODY, Outcome, begin  # noqa: E402


def main() -> None:
    """Runs the load and prints the outcome."""
    load, outcome = begin(), Outcome()

    class Bench(FastHttpUser):  # type: ignore[misc]
        host = load.base_url

    environment = Environment(user_classes=[Bench])
    environment.create_local_runner()

    def user(number: int) -> None:
        gevent.sleep(load.start_of(number))
        client = Bench(environment).client
        while load.goes_on():
            name, first, events, done = outcome.name(number), None, 0, False
            lines = client.iter_lines(
                f"{load.base_url}/chat/completions",
                "POST",
                data=json.dumps(BODY),
                headers={"X-Request-Id": name, "Content-Type": "application/json"},
            )
            for line in lines:
                if not line.startswith("data: "):
                    continue
                events += 1
                data = line[6:].strip()
                if data == "[DONE]":
                    done = True
                    continue
                choices = json.loads(data)["choices"]
                if first is None and choices and choices[0]["delta"].get("content"):
                    first = time.monotonic_ns()
            outcome.add(name, first, events, done)

    gevent.joinall([gevent.spawn(user, number) for number in range(load.users)])
    outcome.print()


main()
