"""The facts of streams, on streams made by hand: each is red for its own reason only, and legal oddities stay green."""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from chatproof.answer import Answer
from chatproof.facts import FACTS, Terms, judge, oddities
from chatproof.record import Tag, Transfer
from chatproof.target import Settings
from chatproof.verdict import Problem
from tests.exchanges import (
    ABSENT,
    CHUNKS,
    changed,
    error_answer,
    frames,
    stream_answer,
    sync_answer,
    terms,
)

TERMS = terms()
STREAMING = [fact for fact in FACTS if fact.clause.startswith("STR-")]
USAGE = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
USAGE_CHUNK: Mapping[str, Any] = {**CHUNKS[0], "choices": [], "usage": USAGE}
ERROR = 'data: {"error":{"code":"model_unavailable","message":"It stopped.","retryable":true}}\n\n'
WITH_USAGE = {"stream_options": {"include_usage": True}}
CONTENT = "choices.0.delta.content"
FINISH = "choices.0.finish_reason"


def found(answer: Answer, by: Terms = TERMS) -> dict[str, list[Problem]]:
    """What the facts of streams find, by clause."""
    seen: dict[str, list[Problem]] = {}
    for fact in STREAMING:
        if fact.of(answer):
            for problem in fact.judge(answer, by):
                seen.setdefault(fact.clause, []).append(problem)
    return seen


def said(answer: Answer, by: Terms = TERMS) -> dict[str, list[str]]:
    """What they say was there instead of what the clause wants."""
    return {
        clause: [problem.actual for problem in problems] for clause, problems in found(answer, by).items()
    }


def subjects(answer: Answer) -> set[str]:
    """The clauses that an answer is a subject of."""
    return {fact.clause for fact in STREAMING if fact.of(answer)}


def with_usage(*more: Any, before: Sequence[Mapping[str, Any]] = CHUNKS, **http: Any) -> Answer:
    """A stream that was asked for usage, with these events behind the others."""
    return stream_answer([*before, *more], asked=WITH_USAGE, **http)


def shown(chunk: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    """A chunk with members changed; dots of a path are written as two underscores."""
    done: dict[str, Any] = changed(chunk, {path.replace("__", "."): value for path, value in changes.items()})
    return done


TWO_CHOICES = [
    shown(CHUNKS[0]),
    shown(CHUNKS[0], choices__0__index=1),
    shown(CHUNKS[1]),
    shown(CHUNKS[2], choices__0__index=1),
    shown(CHUNKS[3], choices__0__index=1),
    shown(CHUNKS[3]),
]
TEXT = b"".join(frames(CHUNKS))
TOOL_CALL = {
    "tool_calls": [{"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
}

LEGAL: Mapping[str, Answer] = {
    "plain": stream_answer(),
    "parameters in the content type": stream_answer(content_type="text/event-stream; charset=utf-8"),
    "one read": stream_answer(body=TEXT),
    "every byte a read": stream_answer(body=[TEXT[n : n + 1] for n in range(len(TEXT))]),
    "a character over two reads": stream_answer(
        body=(text := "".join(f.decode() for f in frames(CHUNKS)).replace("Hello", "你好").encode())
        and [text[: text.index("你".encode()) + 1], text[text.index("你".encode()) + 1 :]]
    ),
    "CRLF": stream_answer(body=TEXT.replace(b"\n", b"\r\n")),
    "CR": stream_answer(body=TEXT.replace(b"\n", b"\r")),
    "CRLF over two reads": stream_answer(body=[TEXT[:-2] + b"\r", b"\n\r\n"]),
    "no space after the colon": stream_answer(body=TEXT.replace(b"data: ", b"data:")),
    "a byte order mark": stream_answer(body=b"\xef\xbb\xbf" + TEXT),
    "comments": stream_answer([": hello\n\n", *CHUNKS, ": x-cost=0.1\n\n"]),
    "a comment after the end": stream_answer(body=TEXT + b"\n\n: bye\n\n"),
    "event, id and retry fields": stream_answer(body=b"event: message\nid: 1\nretry: 5\n" + TEXT),
    "an event without data": stream_answer(["event: keepalive\n\n", *CHUNKS]),
    "gzip": stream_answer(body=gzip.compress(TEXT), headers={"Content-Encoding": "gzip"}),
    "an empty choices preamble": stream_answer([shown(CHUNKS[0], choices=[]), *CHUNKS]),
    "finish_reason absent while it runs": stream_answer(changes={f"{n}.{FINISH}": ABSENT for n in range(3)}),
    "content beside finish_reason": stream_answer(changes={f"3.{CONTENT}": "!"}),
    "an empty delta after finish_reason": stream_answer([*CHUNKS, shown(CHUNKS[1], choices__0__delta={})]),
    "null content": stream_answer(changes={f"0.{CONTENT}": None}),
    "reasoning only": stream_answer(
        changes={"1.choices.0.delta": {"reasoning_content": "Hm"}, f"2.{CONTENT}": ""}
    ),
    "a refusal only": stream_answer(changes={"1.choices.0.delta": {"refusal": "No."}, f"2.{CONTENT}": ""}),
    "a tool call": stream_answer(
        changes={"1.choices.0.delta": TOOL_CALL, f"2.{CONTENT}": "", f"3.{FINISH}": "tool_calls"}
    ),
    "two choices": stream_answer(TWO_CHOICES, asked={"n": 2}),
    "the same role again": stream_answer(changes={"2.choices.0.delta.role": "assistant"}),
    "usage of its own": with_usage(USAGE_CHUNK),
    "null usage on the others": with_usage(
        USAGE_CHUNK, before=[{**chunk, "usage": None} for chunk in CHUNKS]
    ),
    "usage unasked": stream_answer([*CHUNKS, USAGE_CHUNK]),
    "an error event at the end": stream_answer([*CHUNKS[:2], ERROR], done=False),
    "an error and a cut": stream_answer([*CHUNKS[:2], ERROR], done=False, transfer=Transfer.CUT),
    "nothing said, capped short": stream_answer([CHUNKS[0], CHUNKS[3]], asked={"max_tokens": 15}),
    "nothing said, stopped": stream_answer([CHUNKS[0], CHUNKS[3]], asked={"stop": "Hello"}),
    "nothing said, filtered": stream_answer(
        [CHUNKS[0], shown(CHUNKS[3], choices__0__finish_reason="content_filter")]
    ),
    "left by the client": stream_answer(CHUNKS[:2], done=False, transfer=Transfer.LEFT),
    "refused": error_answer(asked={"stream": True}),
    "not a stream": sync_answer(),
    "a long silence after [DONE] of no stream": sync_answer(transfer=Transfer.STALLED),
}


@pytest.mark.parametrize("name", LEGAL)
def test_legal_stream_is_no_finding(name: str) -> None:
    """Whatever the contract and the event-stream format allow is found nothing wrong with."""
    assert said(LEGAL[name]) == {}


WRONG: Mapping[str, tuple[Answer, dict[str, list[str]]]] = {
    "STR-01 status": (stream_answer(status=201), {"STR-01": ["201, text/event-stream"]}),
    "STR-01 type": (stream_answer(content_type="application/json"), {"STR-01": ["200, application/json"]}),
    "STR-01 no type": (stream_answer(headers={"Content-Type": None}), {"STR-01": ["200, no content type"]}),
    "STR-01 not a stream": (sync_answer(asked={"stream": True}), {"STR-01": ["200, application/json"]}),
    "STR-02 none": (stream_answer(done=False), {"STR-02": ["the body ended without it"]}),
    "STR-02 empty body": (
        stream_answer(body=b""),
        {"STR-02": ["the body ended without it"], "STR-06": ["none"]},
    ),
    "STR-02 not terminated": (
        stream_answer([*CHUNKS, "data: [DONE]\n"], done=False),
        {"STR-02": ["the body ended inside the event"]},
    ),
    "STR-02 twice": (
        stream_answer([*CHUNKS, "data: [DONE]\n\n"]),
        {"STR-02": ["2 times"], "STR-03": ["data: [DONE]"]},
    ),
    "STR-02 other case": (
        stream_answer([*CHUNKS, "data: [done]\n\n"], done=False),
        {"STR-02": ["the body ended without it"], "STR-04": ["[done]"]},
    ),
    "STR-03 text": (stream_answer(body=TEXT + b"bye\n"), {"STR-03": ["bye"]}),
    "STR-03 field": (stream_answer(body=TEXT + b"event: bye\n\n"), {"STR-03": ["event: bye"]}),
    "STR-04 not JSON": (stream_answer([CHUNKS[0], "data: oops\n\n", *CHUNKS[1:]]), {"STR-04": ["oops"]}),
    "STR-04 an array": (stream_answer([CHUNKS[0], "data: []\n\n", *CHUNKS[1:]]), {"STR-04": ["[]"]}),
    "STR-04 comment as data": (stream_answer(["data: : PING\n\n", *CHUNKS]), {"STR-04": [": PING"]}),
    "STR-04 content a number": (
        stream_answer(changes={f"1.{CONTENT}": 5}),
        {"STR-04": ["$.choices[0].delta.content: 5 is not of type 'string', 'null'"]},
    ),
    "STR-04 no choices": (
        stream_answer([*CHUNKS, shown(CHUNKS[0], choices=ABSENT)]),
        {"STR-04": ["$: 'choices' is a required property"]},
    ),
    "STR-04 error not last": (
        stream_answer([CHUNKS[0], ERROR, *CHUNKS[1:]], done=False),
        {"STR-04": ["chunks after it"], "STR-11": ["['stop']"]},
    ),
    "STR-04 error no envelope": (
        stream_answer([*CHUNKS[:2], 'data: {"error":{"code":"x"}}\n\n'], done=False),
        {
            "STR-04": [
                "$.error: 'message' is a required property",
                "$.error: 'retryable' is a required property",
            ]
        },
    ),
    "STR-05 id": (
        stream_answer(changes={"2.id": "chatcmpl-2"}),
        {"STR-05": ["2 values: 'chatcmpl-1', 'chatcmpl-2'"]},
    ),
    "STR-05 created": (
        stream_answer(changes={"3.created": 1_790_000_001}),
        {"STR-05": ["2 values: 1790000000, 1790000001"]},
    ),
    "STR-05 milliseconds": (
        stream_answer(changes={f"{n}.created": 1_790_000_000_000 for n in range(4)}),
        {"STR-05": ["1790000000000"]},
    ),
    "STR-05 object": (
        stream_answer(changes={f"{n}.object": "chat.completion" for n in range(4)}),
        {"STR-05": ["'chat.completion'"]},
    ),
    "STR-05 alias": (stream_answer(changes={f"{n}.model": "Auto" for n in range(4)}), {"STR-05": ["auto"]}),
    "STR-06 none": (stream_answer(CHUNKS[:3]), {"STR-06": ["none"]}),
    "STR-06 twice": (stream_answer([*CHUNKS, CHUNKS[3]]), {"STR-06": ["2: ['stop', 'stop']"]}),
    "STR-06 null": (stream_answer(changes={f"3.{FINISH}": None}), {"STR-06": ["none"]}),
    "STR-06 empty string": (stream_answer(changes={f"1.{FINISH}": ""}), {"STR-06": ["an empty string"]}),
    "STR-06 content after it": (
        stream_answer([*CHUNKS, CHUNKS[2]]),
        {"STR-06": ["{'content': ' there.'}"]},
    ),
    "STR-06 one choice of two": (stream_answer(TWO_CHOICES[:-1], asked={"n": 2}), {"STR-06": ["none"]}),
    "STR-07 nothing": (stream_answer([CHUNKS[0], CHUNKS[3]]), {"STR-07": ["nothing"]}),
    "STR-07 another name": (
        stream_answer(changes={f"{n}.choices.0.delta": {"text": "Hi"} for n in (1, 2)}),
        {"STR-07": ["nothing"]},
    ),
    "STR-07 one choice of two": (
        stream_answer([*TWO_CHOICES[:3], *TWO_CHOICES[4:]], asked={"n": 2}),
        {"STR-07": ["nothing"]},
    ),
    "STR-08 none": (stream_answer(changes={"0.choices.0.delta.role": ABSENT}), {"STR-08": ["None"]}),
    "STR-08 late": (stream_answer(CHUNKS[1:]), {"STR-08": ["None"]}),
    "STR-08 another": (stream_answer(changes={"2.choices.0.delta.role": "user"}), {"STR-08": ["'user'"]}),
    "STR-11 [DONE]": (stream_answer([*CHUNKS[:2], ERROR]), {"STR-11": ["[DONE]"]}),
    "STR-11 finish": (
        stream_answer([*CHUNKS[:2], ERROR, CHUNKS[3]]),
        {"STR-04": ["chunks after it"], "STR-11": ["[DONE]", "['stop']"]},
    ),
    "STR-12 none": (with_usage(), {"STR-12": ["none"]}),
    "STR-12 twice": (with_usage(USAGE_CHUNK, USAGE_CHUNK), {"STR-12": ["2"]}),
    "STR-12 before the finish": (
        with_usage(before=[*CHUNKS[:3], USAGE_CHUNK, CHUNKS[3]]),
        {"STR-12": ["before it"]},
    ),
    "STR-12 on a choice": (
        with_usage(before=[*CHUNKS[:3], {**CHUNKS[3], "usage": USAGE}]),
        {"STR-12": [f"choices: {CHUNKS[3]['choices']!r}"]},
    ),
    "STR-12 bad sum": (
        with_usage(shown(USAGE_CHUNK, usage__total_tokens=13)),
        {"STR-12": ["{'prompt_tokens': 9, 'completion_tokens': 3, 'total_tokens': 13}"]},
    ),
    "STR-13 bad sum": (
        stream_answer([*CHUNKS, shown(USAGE_CHUNK, usage__total_tokens=13)]),
        {"STR-13": ["{'prompt_tokens': 9, 'completion_tokens': 3, 'total_tokens': 13}"]},
    ),
    "STR-14 not UTF-8": (
        stream_answer(body=TEXT.replace(b"Hello", b"H\xffllo")),
        {
            "STR-04": ['{"id": "chatcmpl-1",'],
            "STR-14": [f"bytes that are not UTF-8 at byte {TEXT.index(b'Hello') + 1}"],
        },
    ),
    "STR-14 no data line": (
        stream_answer(body=TEXT.replace(b"data: ", b"")),
        {"STR-02": ["the body ended without it"], "STR-06": ["none"], "STR-14": ['{"id": "chatcmpl-1",']},
    ),
    "STR-15 cut": (
        stream_answer(transfer=Transfer.CUT, detail="closed early"),
        {"STR-15": ["cut: closed early"]},
    ),
    "STR-15 reset": (
        stream_answer(CHUNKS[:2], done=False, transfer=Transfer.RESET, detail="by peer"),
        {"STR-15": ["reset: by peer"]},
    ),
    "STR-15 silence after [DONE]": (
        stream_answer(transfer=Transfer.STALLED),
        {"STR-15": ["silence until the client gave up"]},
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_stream_is_found(name: str) -> None:
    """Each way to be wrong turns its own clause red, says what was there, and leaves the other clauses alone."""
    answer, expected = WRONG[name]

    assert _short(said(answer)) == _short(expected)


def _short(found: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Findings by their first words: a finding that quotes a whole chunk is long."""
    return {clause: [text[:20] for text in texts] for clause, texts in found.items()}


def test_usage_after_done_is_out_of_place() -> None:
    """A usage chunk behind `[DONE]` is STR-12's, and STR-03's since nothing may follow."""
    frames_of = frames([*CHUNKS, "data: [DONE]\n\n", USAGE_CHUNK], done=False)

    assert said(stream_answer(body=frames_of, asked=WITH_USAGE)).keys() == {"STR-03", "STR-12"}


def test_bare_chunks_only_warn_where_the_setting_says_so() -> None:
    """Chunks without envelope and index are red; with `chunk_envelope = "bare"` every finding is a warning."""
    bare = [
        {"choices": [{k: v for k, v in choice.items() if k != "index"} for choice in c["choices"]]}
        for c in CHUNKS
    ]
    answer = stream_answer(bare)
    lenient = found(answer, terms(Settings(chunk_envelope="bare")))

    assert {problem.level for problem in found(answer)["STR-04"]} == {"MUST"}
    assert {problem.level for problem in lenient["STR-04"]} == {"SHOULD"}
    assert lenient.keys() == {"STR-04"}


def test_bare_setting_excuses_nothing_else() -> None:
    """With `chunk_envelope = "bare"` a chunk without choices is as red as before."""
    answer = stream_answer([*CHUNKS, shown(CHUNKS[0], choices=ABSENT)])

    assert [p.level for p in found(answer, terms(Settings(chunk_envelope="bare")))["STR-04"]] == ["MUST"]


def test_usage_on_a_choice_only_warns() -> None:
    """LiteLLM's `choices:[{delta:{}}]` beside usage breaks the SHOULD limb of STR-12, not the MUST."""
    answer = with_usage(before=[*CHUNKS[:3], {**CHUNKS[3], "usage": USAGE}])

    assert [problem.level for problem in found(answer)["STR-12"]] == ["SHOULD"]


def test_cut_event_is_the_transfers_fault() -> None:
    """An event that the transfer cut in two is no bad chunk: STR-15 has the finding."""
    answer = stream_answer([*CHUNKS[:2], 'data: {"id": "chat'], done=False, transfer=Transfer.CUT, detail="x")

    assert said(answer) == {"STR-15": ["cut: x"]}


def test_character_cut_by_the_transfer_is_no_bad_byte() -> None:
    """Half a character at the end of a cut transfer is not STR-14's."""
    body = TEXT[: TEXT.index(b"Hello")] + "你".encode()[:2]

    assert said(stream_answer(body=body, transfer=Transfer.CUT, detail="x")) == {"STR-15": ["cut: x"]}


def test_stream_that_broke_after_done_is_judged_on_what_came() -> None:
    """Behind `[DONE]` nothing is missing: a stream that is cut there is a subject of all that a whole one is."""
    whole, cut = stream_answer(), stream_answer(transfer=Transfer.CUT)

    assert subjects(cut) == subjects(whole)
    assert "STR-02" in subjects(whole)


@pytest.mark.parametrize(
    "transfer", [Transfer.CUT, Transfer.RESET, Transfer.STALLED, Transfer.LEFT, Transfer.TIMED_OUT]
)
def test_broken_stream_is_not_asked_for_its_end(transfer: Transfer) -> None:
    """A stream that was cut before `[DONE]` is a subject of none of the clauses about its end."""
    answer = stream_answer(CHUNKS[:2], done=False, transfer=transfer, asked=WITH_USAGE)

    assert subjects(answer).isdisjoint({"STR-02", "STR-03", "STR-06", "STR-12"})


def test_client_that_left_says_nothing_of_the_transfer() -> None:
    """A hang-up of ours, a byte cap and an error told in the stream leave STR-15 without a subject."""
    ours = [
        stream_answer(transfer=transfer) for transfer in (Transfer.LEFT, Transfer.CAPPED, Transfer.TIMED_OUT)
    ]
    told = stream_answer([*CHUNKS[:2], ERROR], done=False, transfer=Transfer.RESET)

    assert ["STR-15" in subjects(answer) for answer in [*ours, told]] == [False] * 4


def test_short_answers_are_no_subject_of_str_07() -> None:
    """Under sixteen tokens, or with a stop string, an empty answer is likely: it is not judged."""
    asked = (
        {"max_tokens": 15},
        {"max_completion_tokens": 8},
        {"stop": ["x"]},
        {"max_tokens": 16},
        {"stop": None},
    )

    assert ["STR-07" in subjects(stream_answer(asked=some)) for some in asked] == [
        False,
        False,
        False,
        True,
        True,
    ]


def test_finding_points_at_its_bytes() -> None:
    """The excerpt of a bad chunk is that chunk."""
    body = b"".join(frames([CHUNKS[0], "data: oops\n\n", *CHUNKS[1:]]))
    (problem,) = found(stream_answer(body=body))["STR-04"]

    assert problem.at is not None
    assert body[slice(*problem.at)] == b"data: oops\n\n"


# --- folds over a run ---------------------------------------------------------------------------------------


def named(step: str, id: str, *, key: str | None = None, said: str = "Hello", sent: str = "") -> Answer:
    """A stream with an id, under an idempotency key of its own, that says and was sent something."""
    return stream_answer(
        changes={**{f"{n}.id": id for n in range(4)}, f"1.{CONTENT}": said},
        asked={"messages": [{"role": "user", "content": sent}]},
        tag=Tag("crowd", step),
        request_headers=(("Idempotency-Key", key or step),),
    )


def clashes(*answers: Answer) -> list[str]:
    """What STR-17 says of a run of these."""
    return [problem.actual for _, problem in judge(answers, TERMS)["STR-17"].problems]


def test_streams_with_ids_of_their_own_are_green() -> None:
    """Different ids clash with nothing, and each stream is a subject."""
    run = [named("1", "a"), named("2", "b")]

    assert clashes(*run) == []
    assert judge(run, TERMS)["STR-17"].subjects == 2


def test_two_streams_with_one_id_clash() -> None:
    """An id that another operation had before is told with who had it."""
    assert clashes(named("1", "a"), named("2", "a")) == ["'a' came before, in Bearer <redacted:api_key> 1"]


def test_replay_may_have_the_first_ones_id_and_text() -> None:
    """What shares an idempotency key may share an id, and a text with a nonce of the first prompt."""
    nonce = "nx0123456789abc"
    first = named("1", "a", key="k", sent=nonce, said=nonce)
    again = named("2", "a", key="k", sent="another prompt", said=nonce)

    assert clashes(first, again) == []


def test_nonce_of_another_prompt_is_found() -> None:
    """A nonce that was sent in one prompt and comes back in the answer to another."""
    mine, other = "nx0123456789abc", "nxabcdefghijklm"
    run = [named("1", "a", sent=mine, said=other), named("2", "b", sent=other, said="nothing")]

    assert clashes(*run) == [f"{other}, the nonce of another prompt"]


def test_nonce_of_another_prompt_is_found_in_a_body_too() -> None:
    """Answers that are not streamed are looked at as well."""
    other = "nxabcdefghijklm"
    body = sync_answer({"choices.0.message.content": other}, tag=Tag("crowd", "2"))

    assert clashes(named("1", "a", sent=other), body) == [f"{other}, the nonce of another prompt"]


def test_own_and_unknown_nonces_are_no_finding() -> None:
    """Repeating one's own nonce is right, and a word that only looks like one was sent by nobody."""
    mine = "nx0123456789abc"

    assert clashes(named("1", "a", sent=mine, said=f"{mine} nxvvvvvvvvvvvvv"), named("2", "b")) == []


def test_cut_stream_belongs_to_no_crowd_without_an_id() -> None:
    """A stream that brought no chunk has no id to clash with."""
    empty = stream_answer(body=b"", tag=Tag("crowd", "1"))

    assert judge([empty, empty], TERMS)["STR-17"].subjects == 0


def test_oddities_are_counted_by_stream() -> None:
    """STR-19 says in how many streams each legal oddity was; bodies and plain streams count for nothing."""
    crlf, odd = LEGAL["CRLF"], stream_answer([": a\n\n: b\n\n", *CHUNKS])

    assert oddities([stream_answer(), crlf, crlf, odd, sync_answer()]) == {"crlf": 2, "comment": 1}
