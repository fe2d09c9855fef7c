"""The chat route, stage by stage: rules, idempotency, limits, model, charge, and a reply to send.

The order is the contract's: who asks comes before what is asked; a request that is wrong never reaches the
idempotency store; a refusal for want of capacity is never kept in it; only a completion costs anything.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
import uuid
from collections.abc import Callable
from decimal import Decimal

import msgspec

from . import model, wallet
from .access import EMPTY_KEY, FLAKY_KEY, LIMITED_KEY, MAIN_KEY
from .call import Call, Kept, Made
from .latency import Latency
from .problem import Problem
from .render import completion, refusal, stream
from .reply import Carries, Frame, Reply
from .rule import first_problem
from .rules import CHAT, parsed, resolved
from .seams import (
    ANSWER,
    ASKED,
    CHARGE,
    IDENTITY,
    KEEPS,
    LIMIT,
    POSTINGS,
    PROBLEM,
    SAME,
    SCOPE,
    USAGE,
    WAITS,
    Identity,
)

_KEPT_LIMIT = 20_000  # results an idempotency store holds; the oldest go first
_CONFLICT = Problem(
    409,
    "idempotency_conflict",
    "This Idempotency-Key was used with another body.",
    rule="idempotency_conflict",
)


async def reply_to_chat(call: Call, latency: Latency) -> Reply:
    """What one chat request gets; may take as long as the model does, and longer where the model is busy."""
    call.body = parsed(call.raw)
    call.body = call.through(ASKED, call.body)
    problem = call.through(PROBLEM, first_problem(call, CHAT))
    outcome = problem or await _once(call, latency)
    if isinstance(outcome, Problem):
        post(call, ())
        return refusal(call, outcome)
    call.rendered = outcome
    if call.stream:
        return stream(call, outcome, _pauses(call, outcome.answer, latency))
    settle(call, outcome)
    return completion(call, outcome)


async def _once(call: Call, latency: Latency) -> Made | Problem:
    """The outcome of the first request with this idempotency key, or of this one where there is none."""
    key = call.idempotency_key
    scope = call.through(SCOPE, (call.key, key) if key else None)
    if scope is None:
        return await _work(call, latency)
    kept_by_scope = call.world.kept
    fingerprint = _fingerprint(call)
    while (kept := kept_by_scope.get(scope)) is not None:
        if not call.through(SAME, kept.fingerprint == fingerprint):
            return _CONFLICT
        if not kept.result.done() and not call.through(WAITS, True):
            return await _work(call, latency)
        first = await asyncio.shield(kept.result)
        if first is not None:
            call.replay = True
            return first
    kept = kept_by_scope[scope] = Kept(fingerprint, asyncio.get_running_loop().create_future())
    outcome: Made | Problem | None = None
    try:
        made = outcome = await _work(call, latency)
        call.problem = made if isinstance(made, Problem) else None
        if not call.through(KEEPS, isinstance(made, Made)):
            outcome = None
        return made
    finally:
        if outcome is None:
            kept_by_scope.pop(scope, None)
        elif len(kept_by_scope) > _KEPT_LIMIT:
            del kept_by_scope[next(iter(kept_by_scope))]
        kept.result.set_result(outcome)


def _fingerprint(call: Call) -> bytes:
    return hashlib.sha256(msgspec.json.encode(call.fields, order="deterministic")).digest()


async def _work(call: Call, latency: Latency) -> Made | Problem:
    """Asks the model; a sync answer takes its time here, a stream while it is sent."""
    problem = call.through(LIMIT, _limit(call))
    if problem is not None:
        return problem
    await call.take_place()
    answer = call.through(ANSWER, model.answer(model.Prompt.of(call.fields), call.nonce))
    counts = wallet.Usage(answer.prompt_tokens, answer.completion_tokens, answer.cached_tokens)
    usage = call.through(USAGE, counts)
    name = resolved(call.fields.get("model"))
    charge = call.through(CHARGE, wallet.charge(wallet.MODELS[name], usage))
    identity = Identity(f"chatcmpl-{uuid.uuid4().hex}", int(time.time()), name)
    if not call.stream:
        await asyncio.sleep(sum(_pauses(call, answer, latency)) / 1e9)
    return Made(call.through(IDENTITY, identity), answer, usage, charge)


def _limit(call: Call) -> Problem | None:
    """What stands in the way of a request that is right in itself."""
    if call.key == EMPTY_KEY:
        return Problem(402, "insufficient_balance", "The wallet is empty.", rule="empty_wallet")
    if call.key == LIMITED_KEY or _flakes(call):
        message = "Too many requests; try again shortly."
        return Problem(
            429, "rate_limited", message, True, headers=(("Retry-After", "1"),), rule="rate_limited"
        )
    if call.fields.get("model") == wallet.DOWN:
        message = "The model is not available; try again, or use auto."
        return Problem(
            503, "model_unavailable", message, True, headers=(("Retry-After", "1"),), rule="model_down"
        )
    return None


def _flakes(call: Call) -> bool:
    """The flaky key is refused the first time it brings an idempotency key."""
    if call.key != FLAKY_KEY or call.idempotency_key is None or call.idempotency_key in call.world.flaked:
        return False
    call.world.flaked.add(call.idempotency_key)
    return True


def _pauses(call: Call, answer: model.Answer, latency: Latency) -> tuple[int, ...]:
    rounds = max(len(choice.pieces) for choice in answer.choices)
    return latency.pauses(rounds, call.number)


def settle(call: Call, made: Made) -> None:
    """Takes the charge off the wallet; a replay costs nothing."""
    post(call, () if call.replay else (made.charge.credits,))


def post(call: Call, amounts: tuple[Decimal, ...]) -> None:
    """Takes amounts of credits off the wallet of the call's key."""
    wallets = call.world.wallets
    postings = call.through(POSTINGS, amounts)
    call.posted += sum(postings, Decimal(0))
    wallets.get(call.key or "", wallets[MAIN_KEY]).post(postings)


def meter(call: Call, reply: Reply) -> tuple[Callable[[Frame, bool], None], Callable[[], None]]:
    """Bills a stream: whole when its last token is due, in part when the client leaves, never if it failed.

    Gives a function to call before each frame, and one to call at the end, however it ended.
    """
    made = call.rendered
    if made is None or not call.stream or any(frame.carries is Carries.ERROR for frame in reply.frames):
        return (lambda frame, last: None), (lambda: None)
    tokens = 0
    settled = False

    def before(frame: Frame, last: bool) -> None:
        nonlocal tokens, settled
        tokens += frame.tokens
        if not settled and (last or tokens >= made.answer.completion_tokens):
            settled = True
            settle(call, made)

    def close() -> None:
        if not settled and tokens and not call.replay:
            part = wallet.Usage(made.usage.prompt, tokens, made.usage.cached)
            charge = wallet.charge(wallet.MODELS[resolved(made.identity.model)], part)
            settle(call, Made(made.identity, made.answer, part, charge))

    return before, close
