"""httpx with httpx-sse under gevent, a client a user: what one writes by hand in a locustfile."""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import json  # noqa: E402
import ssl  # noqa: E402
import time  # noqa: E402

import gevent  # noqa: E402
import httpx  # noqa: E402
from httpx_sse import connect_sse  # noqa: E402

from benchmarks.clients.common import BODY, Outcome, begin  # noqa: E402


def main() -> None:
    """Runs the load and prints the outcome."""
    load, outcome = begin(), Outcome()
    context = ssl.create_default_context()

    def user(number: int) -> None:
        gevent.sleep(load.start_of(number))
        with httpx.Client(verify=context, timeout=60, trust_env=False) as client:
            while load.goes_on():
                name, first, events, done = outcome.name(number), None, 0, False
                headers = {"X-Request-Id": name}
                with connect_sse(
                    client, "POST", f"{load.base_url}/chat/completions", json=BODY, headers=headers
                ) as source:
                    for event in source.iter_sse():
                        events += 1
                        if event.data == "[DONE]":
                            done = True
                        elif first is None:
                            choices = json.loads(event.data)["choices"]
                            if choices and choices[0]["delta"].get("content"):
                                first = time.monotonic_ns()
                        else:
                            json.loads(event.data)
                outcome.add(name, first, events, done)

    gevent.joinall([gevent.spawn(user, number) for number in range(load.users)])
    outcome.print()


main()
