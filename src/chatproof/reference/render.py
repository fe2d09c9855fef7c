"""From results to documents: the sync body, the chunks of a stream, the envelope. Knows no connection."""

from __future__ import annotations

from typing import Any

from .call import Call, Made
from .problem import Problem
from .reply import Carries, Chunk, Json, Reply, json_reply, stream_reply
from .seams import CHUNKS, COMPLETION, ENVELOPE, REFUSAL, SHOWN_USAGE
from .wallet import printed

DONE = "[DONE]"


def refusal(call: Call, problem: Problem) -> Reply:
    """A problem as the error envelope."""
    call.problem = problem
    problem = call.problem = call.through(REFUSAL, problem)
    error: Json = {"code": problem.code, "message": problem.message, "retryable": problem.retryable}
    error["request_id"] = call.request_id
    if problem.param is not None:
        error["param"] = problem.param
    return json_reply(problem.status, call.through(ENVELOPE, {"error": error}), problem.headers)


def shown_usage(call: Call, made: Made) -> Json:
    """The usage object with the charge."""
    usage: Json = {
        "prompt_tokens": made.usage.prompt,
        "completion_tokens": made.usage.completion,
        "total_tokens": made.usage.prompt + made.usage.completion,
        "credits": printed(made.charge.credits),
        "credits_usd_reference": printed(made.charge.reference),
    }
    if made.usage.cached:
        usage["prompt_tokens_details"] = {"cached_tokens": made.usage.cached}
    return call.through(SHOWN_USAGE, usage)


def completion(call: Call, made: Made) -> Reply:
    """The answer as one JSON document."""
    document: Json = {
        "id": made.identity.id,
        "object": "chat.completion",
        "created": made.identity.created,
        "model": made.identity.model,
        "choices": [
            {
                "index": index,
                "message": {"role": "assistant", "content": choice.text},
                "finish_reason": choice.finish,
            }
            for index, choice in enumerate(made.answer.choices)
        ],
        "usage": shown_usage(call, made),
    }
    return json_reply(200, call.through(COMPLETION, document))


def stream(call: Call, made: Made, pauses: tuple[int, ...]) -> Reply:
    """The answer as a stream of chunks; `pauses` are those before each round of one token a choice."""
    chunks: list[Chunk] = [
        *_opening(made, pauses[0] // 2),
        *_tokens(made, (pauses[0] - pauses[0] // 2, *pauses[1:])),
    ]
    if call.include_usage:
        chunks.append(Chunk(_chunk(made, [], usage=shown_usage(call, made)), Carries.USAGE))
    chunks.append(Chunk(DONE, Carries.DONE))
    events = call.through(CHUNKS, tuple(chunks))
    return stream_reply(events)


def _opening(made: Made, after_ns: int) -> list[Chunk]:
    return [
        Chunk(
            _chunk(made, [_delta(index, {"role": "assistant", "content": ""})]),
            Carries.ROLE,
            after_ns if index == 0 else 0,
            choice=index,
        )
        for index in range(len(made.answer.choices))
    ]


def _tokens(made: Made, pauses: tuple[int, ...]) -> list[Chunk]:
    """Round by round one token of each choice, and a choice's finish after its last token."""
    chunks: list[Chunk] = []
    ends = [len(choice.pieces) for choice in made.answer.choices]
    for turn in range(max(ends) + 1):
        pause = pauses[turn] if turn < len(pauses) else 0
        for index, choice in enumerate(made.answer.choices):
            if turn < ends[index]:
                delta = _delta(index, {"content": choice.pieces[turn]})
                chunks.append(Chunk(_chunk(made, [delta]), Carries.CONTENT, pause, tokens=1, choice=index))
            elif turn == ends[index]:
                delta = _delta(index, {}, choice.finish)
                chunks.append(Chunk(_chunk(made, [delta]), Carries.FINISH, pause, choice=index))
            else:
                continue
            pause = 0
    return chunks


def _delta(index: int, delta: Json, finish: str | None = None) -> Json:
    return {"index": index, "delta": delta, "finish_reason": finish}


def _chunk(made: Made, choices: list[Json], **more: Any) -> Json:
    return {
        "id": made.identity.id,
        "object": "chat.completion.chunk",
        "created": made.identity.created,
        "model": made.identity.model,
        "choices": choices,
        **more,
    }
