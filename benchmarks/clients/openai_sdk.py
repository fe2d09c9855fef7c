"""The openai SDK's asynchronous client: what most load scripts for chat APIs are made of."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from openai import AsyncOpenAI

from benchmarks.clients.common import BODY, Outcome, begin


async def run() -> None:
    """Runs the load and prints the outcome."""
    load, outcome = begin(), Outcome()
    client = AsyncOpenAI(base_url=load.base_url, api_key="none", max_retries=0, timeout=60)
    create: Any = client.chat.completions.create

    async def user(number: int) -> None:
        await asyncio.sleep(load.start_of(number))
        while load.goes_on():
            name, first, events, finished = outcome.name(number), None, 0, False
            stream = await create(extra_headers={"X-Request-Id": name}, **BODY)
            async for chunk in stream:
                events += 1
                for choice in chunk.choices:
                    finished = finished or choice.finish_reason is not None
                    if first is None and choice.delta.content:
                        first = time.monotonic_ns()
            outcome.add(name, first, events + 1, finished)  # [DONE] is taken by the SDK

    await asyncio.gather(*(user(number) for number in range(load.users)))
    outcome.print()


asyncio.run(run())
