"""The billing facts on answers made by hand: what is legal, and each way to be wrong."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from chatproof.answer import Answer
from chatproof.facts import FACTS, Tally, Tariff, Terms, judge
from chatproof.facts.billing import call_of
from chatproof.linear_charge import Call
from chatproof.money import Prices, Printed
from chatproof.record import Exchange, Read, Request, Tag, Transfer
from chatproof.target import Settings


class Anything:
    """A schema that all is right by: what a body looks like is not for these facts."""

    def problems(self, value: object) -> Iterable[tuple[str, str]]:
        """None."""
        return ()


SCHEMAS = dict.fromkeys(("chat.completion", "chat.completion.chunk", "error"), Anything())
MODEL = "MiniMax-M2.7"
TARIFF = Tariff(Prices(Decimal("3e-7"), Decimal("1.2e-6"), Decimal("6e-8")), Decimal(1500))
TERMS = Terms(
    settings=Settings(), error_codes=(), schemas=SCHEMAS, tariffs={MODEL: TARIFF}, rate=Decimal(1000)
)
BILLING = [fact for fact in FACTS if fact.clause.startswith("BIL-")]
# 38 x 0.0000003 + 19 x 0.0000012 USD = 0.0000342 USD; x 1500 = 0.0513 credits; / 1000 = 0.0000513 USD
USAGE = {
    "prompt_tokens": 38,
    "completion_tokens": 19,
    "total_tokens": 57,
    "credits": "0.0513",
    "credits_usd_reference": "0.0000513",
}


def exchange(
    body: bytes, *, stream: bool = False, status: int = 200, path: str = "/chat/completions"
) -> Exchange:
    """An exchange that came whole in one read."""
    asked = {"model": MODEL, "messages": [], "stream": stream}
    kind = "text/event-stream" if stream else "application/json"
    return Exchange(
        tag=Tag("billing", "1"),
        request=Request(method="POST", url=f"http://127.0.0.1/v1{path}", body=json.dumps(asked).encode()),
        wall_ns=1_790_000_000_000_000_000,
        started_ns=0,
        ended_ns=9,
        status=status,
        headers=(("Content-Type", kind),),
        reads=(Read(5, body),),
        transfer=Transfer.WHOLE,
    )


def sync(literal: dict[str, str] | None = None, content: str = "Hello", **usage: Any) -> Answer:
    """An unstreamed answer; `literal` puts JSON text in place of members of `usage`."""
    body = {
        "id": "chatcmpl-1",
        "model": MODEL,
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}
        ],
        "usage": {**USAGE, **usage},
    }
    return Answer(exchange(_with(json.dumps(body), literal)))


def streamed(literal: dict[str, str] | None = None, **usage: Any) -> Answer:
    """A stream with a usage chunk of its own."""
    envelope = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1790000000, "model": MODEL}
    said = {"index": 0, "delta": {"role": "assistant", "content": "Hello"}}
    chunks = [
        {**envelope, "choices": [said]},
        {**envelope, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        {**envelope, "choices": [], "usage": {**USAGE, **usage}},
    ]
    events = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
    return Answer(exchange(_with(events, literal), stream=True))


def _with(text: str, literal: dict[str, str] | None) -> bytes:
    for name, value in (literal or {}).items():
        before = f'"{name}": {json.dumps(USAGE[name])}'
        assert before in text
        text = text.replace(before, f'"{name}": {value}')
    return text.encode()


def without(name: str) -> Answer:
    """An unstreamed answer whose usage lacks a member."""
    body = json.loads(sync().body)
    del body["usage"][name]
    return Answer(exchange(json.dumps(body).encode()))


def tallies(answer: Answer, terms: Terms = TERMS) -> dict[str, Tally]:
    """What the billing facts say of one answer."""
    return {clause: tally for clause, tally in judge([answer], terms).items() if clause.startswith("BIL-")}


def red(answer: Answer, terms: Terms = TERMS) -> set[str]:
    """The clauses with a violation."""
    return {clause for clause, tally in tallies(answer, terms).items() if tally.problems}


def judged(answer: Answer, terms: Terms = TERMS) -> set[str]:
    """The clauses that the answer was a subject of."""
    return {clause for clause, tally in tallies(answer, terms).items() if tally.subjects}


def missing(answer: Answer, terms: Terms) -> dict[str, tuple[str, ...]]:
    """What the target file lacks, by clause."""
    return {clause: tally.untestable for clause, tally in tallies(answer, terms).items() if tally.untestable}


def test_a_stream_is_judged_once_it_came_to_its_end() -> None:
    """BIL-07: `[DONE]` is an end, whatever the connection did then; what broke off before it says nothing."""
    whole = streamed().exchange
    cut = replace(whole, transfer=Transfer.CUT)
    before_done = replace(cut, reads=(Read(5, whole.body.removesuffix(b"data: [DONE]\n\n")),))

    assert judged(Answer(cut)) == {"BIL-07"}
    assert judged(Answer(before_done)) == set()


def test_right_answers() -> None:
    """A right answer is judged by every clause of its kind, and nothing is found."""
    assert (judged(sync()), red(sync())) == ({"BIL-01", "BIL-02", "BIL-03", "BIL-04", "BIL-05"}, set())
    assert (judged(streamed()), red(streamed())) == ({"BIL-07"}, set())


LEGAL: dict[str, dict[str, str]] = {
    "json numbers": {"credits": "0.0513", "credits_usd_reference": "0.0000513"},
    "trimmed reference": {"credits_usd_reference": '"0.0001"'},
    "truncated reference": {"credits_usd_reference": '"0.0000"'},
    "whole zero reference": {"credits_usd_reference": "0"},
    "truncated credits": {"credits": '"0.051"'},
    "more places": {"credits": '"0.05130000"', "credits_usd_reference": '"0.00005130000"'},
}


@pytest.mark.parametrize("make", [sync, streamed])
@pytest.mark.parametrize("literal", LEGAL.values(), ids=LEGAL.keys())
def test_legal_variations(make: Any, literal: dict[str, str]) -> None:
    """How a right figure is printed is the deployment's choice."""
    assert red(make(literal)) == set()


WRONG: dict[str, tuple[dict[str, str], set[str]]] = {
    "no credits": ({"credits": "null"}, {"BIL-01"}),
    "no reference": ({"credits_usd_reference": "null"}, {"BIL-01"}),
    "exponent": ({"credits_usd_reference": "5.13e-05"}, {"BIL-02"}),
    "float noise": ({"credits": "0.051300000000000005"}, {"BIL-02"}),
    "no figure": ({"credits": '"n/a"'}, {"BIL-02"}),
    "boolean": ({"credits": "false"}, {"BIL-02"}),
    "negative": ({"credits": '"-0.0513"'}, {"BIL-02", "BIL-03", "BIL-04", "BIL-05"}),
    "reference at another rate": ({"credits_usd_reference": '"0.0000342"'}, {"BIL-03"}),
    "reference is the credits": ({"credits_usd_reference": '"0.0513"'}, {"BIL-03"}),
    "another markup": ({"credits": '"0.0342"', "credits_usd_reference": '"0.0000342"'}, {"BIL-04"}),
    "markup twice": ({"credits": '"76.95"', "credits_usd_reference": '"0.07695"'}, {"BIL-04"}),
    "rounded early": ({"credits": '"0.0450"', "credits_usd_reference": '"0.0000450"'}, {"BIL-04"}),
    "free": ({"credits": '"0.0000"', "credits_usd_reference": '"0.0000"'}, {"BIL-04", "BIL-05"}),
    "free, a whole zero": ({"credits": "0", "credits_usd_reference": "0"}, {"BIL-05"}),
}


@pytest.mark.parametrize(("literal", "clauses"), WRONG.values(), ids=WRONG.keys())
def test_wrong_sync(literal: dict[str, str], clauses: set[str]) -> None:
    """Each way to be wrong turns its own clauses red, and no other."""
    assert red(sync(literal)) == clauses


@pytest.mark.parametrize("literal", [literal for literal, _ in WRONG.values()], ids=WRONG.keys())
def test_wrong_stream(literal: dict[str, str]) -> None:
    """On a stream the same is BIL-07's, at the clause's own level."""
    found = tallies(streamed(literal))

    assert red(streamed(literal)) == {"BIL-07"}
    assert {problem.level for _, problem in found["BIL-07"].problems} == {None}


@pytest.mark.parametrize("name", ["credits", "credits_usd_reference"])
def test_absent(name: str) -> None:
    """A figure that is not there is BIL-01's, and nothing is said of its value."""
    assert red(without(name)) == {"BIL-01"}
    assert "BIL-03" not in judged(without(name))


def test_no_usage_at_all() -> None:
    """An answer without usage carries no charge."""
    body = json.loads(sync().body)
    del body["usage"]

    assert red(Answer(exchange(json.dumps(body).encode()))) == {"BIL-01"}


def test_findings_explain_themselves() -> None:
    """The expected charge is shown as a calculation, and the excerpt is the usage object."""
    answer = sync({"credits": '"0.0342"'}, prompt_tokens=30, prompt_tokens_details={"cached_tokens": 10})
    ((_, problem),) = tallies(answer)["BIL-04"].problems

    assert problem.expected == (
        "usage.credits 0.0441, which is "
        "(20 prompt x 0.0000003 + 10 cached x 0.00000006 + 19 completion x 0.0000012) USD x 1500"
    )
    assert problem.actual == "0.0342"
    assert problem.at is not None
    assert answer.body[problem.at[0] :].startswith(b'"usage": {')


@pytest.mark.parametrize(
    ("details", "credits", "clauses"),
    [
        ({"cached_tokens": 0}, "0.0513", set()),
        ({"cached_tokens": 10}, "0.0477", set()),
        ({"cached_tokens": 10}, "0.0513", {"BIL-03", "BIL-04"}),
        ({"cached_tokens": None}, "0.0513", set()),
        (None, "0.0513", set()),
    ],
)
def test_cached_tokens(details: Any, credits: str, clauses: set[str]) -> None:
    """Cached prompt tokens are charged at their own price."""
    reference = "0.0000477" if credits == "0.0477" or details == {"cached_tokens": 10} else "0.0000513"
    answer = sync(prompt_tokens_details=details, credits=credits, credits_usd_reference=reference)

    assert red(answer) == clauses


def test_cached_tokens_without_their_price() -> None:
    """Without a cached price only answers with cached tokens go unjudged, and a line says what would help."""
    tariff = Tariff(Prices(Decimal("3e-7"), Decimal("1.2e-6")), Decimal(1500))
    terms = Terms(
        settings=Settings(), error_codes=(), schemas=SCHEMAS, tariffs={MODEL: tariff}, rate=Decimal(1000)
    )
    cached = sync(prompt_tokens_details={"cached_tokens": 10})

    assert missing(cached, terms)["BIL-04"] == ('[[model]] id = "MiniMax-M2.7": cached_input_usd_per_token',)
    assert "BIL-04" in judged(sync(), terms)
    assert red(cached, terms) == set()


@pytest.mark.parametrize("cached", [39, -1])
def test_impossible_cached_tokens(cached: int) -> None:
    """Counts that cannot be are no ground for a price."""
    assert "BIL-04" not in judged(sync(prompt_tokens_details={"cached_tokens": cached}))


@pytest.mark.parametrize("count", ["38", None, 1.5])
def test_counts_that_are_none(count: Any) -> None:
    """An answer whose token counts are no counts is not judged on its price; RSP-07 says what is wrong."""
    assert "BIL-04" not in judged(sync(prompt_tokens=count))


BARE = Terms(settings=Settings(), error_codes=(), schemas=SCHEMAS)


def terms_with(tariff: Tariff, rate: Decimal | None = Decimal(1000)) -> Terms:
    """Terms with another tariff."""
    return Terms(settings=Settings(), error_codes=(), schemas=SCHEMAS, tariffs={MODEL: tariff}, rate=rate)


@pytest.mark.parametrize(
    ("terms", "lines"),
    [
        (
            BARE,
            {
                "BIL-03": "[billing] credits_per_usd_rate",
                "BIL-04": '[[model]] id = "MiniMax-M2.7": credits_per_litellm_usd',
                "BIL-05": '[[model]] id = "MiniMax-M2.7": credits_per_litellm_usd',
            },
        ),
        (
            terms_with(Tariff(None, Decimal(1500))),
            {
                "BIL-04": '[[model]] id = "MiniMax-M2.7": '
                "litellm_model, or input_usd_per_token and output_usd_per_token"
            },
        ),
        (
            terms_with(Tariff(Prices(Decimal(1), Decimal(1), None, up_to=37), Decimal(1500))),
            {"BIL-04": '[[model]] id = "MiniMax-M2.7": input_usd_per_token for a prompt this long'},
        ),
        (terms_with(TARIFF), {}),
    ],
    ids=["nothing", "no-prices", "long-prompt", "all"],
)
def test_missing_lines(terms: Terms, lines: dict[str, str]) -> None:
    """What cannot be judged says which line of the target file would provide it."""
    assert missing(sync(), terms) == {clause: (line,) for clause, line in lines.items()}


def test_streams_without_terms() -> None:
    """A stream whose figures look right says what is missing; one that is wrong anyway is told."""
    assert missing(streamed(), BARE) == {"BIL-07": ("[billing] credits_per_usd_rate",)}
    assert missing(streamed(), terms_with(Tariff(), Decimal(1000))) == {
        "BIL-07": ('[[model]] id = "MiniMax-M2.7": credits_per_litellm_usd',)
    }
    assert red(streamed({"credits": "null"}), BARE) == {"BIL-07"}
    assert red(streamed({"credits": "5.13e-2"}), BARE) == {"BIL-07"}
    assert red(streamed({"credits": "0"}), terms_with(TARIFF, None)) == {"BIL-07"}


@pytest.mark.parametrize(
    ("tariff", "content", "tokens", "clauses"),
    [
        (Tariff(None, Decimal(1500)), "Hello", 19, {"BIL-05"}),
        (Tariff(None, Decimal(1500)), "", 19, {"BIL-05"}),
        (Tariff(None, Decimal(1500)), "", 0, set()),
        (Tariff(None, Decimal(0)), "Hello", 19, set()),
        (Tariff(Prices(Decimal(0), Decimal(0)), Decimal(1500)), "Hello", 19, set()),
    ],
    ids=["priced", "tokens-only", "empty", "no-markup", "free-model"],
)
def test_free_answers(tariff: Tariff, content: str, tokens: int, clauses: set[str]) -> None:
    """A zero is wrong for a non-empty answer of a model with a markup, its price known or not."""
    zero = {"credits": '"0.0000"', "credits_usd_reference": '"0.0000"'}

    assert red(sync(zero, content, completion_tokens=tokens), terms_with(tariff)) == clauses


def error(extra: dict[str, Any], **kind: Any) -> Answer:
    """A failed chat call with more in its body."""
    envelope = {"error": {"code": "model_unavailable", "message": "x", "retryable": True}}
    return Answer(exchange(json.dumps({**envelope, **extra}).encode(), **{"status": 503, **kind}))


@pytest.mark.parametrize(
    ("answer", "clauses"),
    [
        (error({}), set()),
        (error({"usage": {"credits": 0, "credits_usd_reference": "0.0000"}}), set()),
        (error({"usage": None}), set()),
        (error({"usage": {"credits": "0.0513"}}), {"BIL-06"}),
        (error({"usage": {"credits_usd_reference": 0.0001}}), {"BIL-06"}),
        (error({"details": [{"usage": {"credits": 3}}]}), {"BIL-06"}),
        (error({"usage": {"credits": 3}}, status=200), {"BIL-06"}),
        (error({"details": {"credits": "12.5"}}, status=402), set()),
        (Answer(exchange(b"<html>", status=502)), set()),
    ],
    ids=["plain", "zero", "null", "credits", "reference", "deep", "status-200", "a-balance", "html"],
)
def test_failed_calls(answer: Answer, clauses: set[str]) -> None:
    """A failed call shows no charge; the balance that an error may tell is none."""
    assert judged(answer) == {"BIL-06"}
    assert red(answer) == clauses


def test_failed_streams() -> None:
    """A stream that failed inside is a failed call, and not judged as a stream with usage."""
    failure = b'data: {"error": {"code": "model_unavailable", "message": "x", "retryable": true}%s}\n\n'
    right = Answer(exchange(failure % b"", stream=True))
    charged = Answer(exchange(failure % b', "usage": {"credits": "0.0513"}', stream=True))

    assert (judged(right), red(right)) == ({"BIL-06"}, set())
    assert (judged(charged), red(charged)) == ({"BIL-06"}, {"BIL-06"})


def test_other_routes_fail_for_free() -> None:
    """A failure elsewhere is no call that could be charged."""
    assert judged(Answer(exchange(b"{}", status=404, path="/nothing"))) == set()


def test_streams_without_usage() -> None:
    """A stream that reports no usage owes no charge."""
    body = b'data: {"choices": []}\n\ndata: [DONE]\n\n'

    assert judged(Answer(exchange(body, stream=True))) == set()


def test_call_of() -> None:
    """A call for BIL-08 is the counts and the charge as printed; cached prompt tokens leave it out."""
    assert call_of(sync()) == Call(38, 19, Printed(Decimal("0.0513"), 4))
    assert call_of(streamed()) == call_of(sync())
    assert call_of(sync(prompt_tokens_details={"cached_tokens": 1})) is None
    assert call_of(sync(prompt_tokens="38")) is None
    assert call_of(sync(credits=None)) is None


def test_no_fact_needs_a_binary_float() -> None:
    """A charge reaches the facts as the decimal that was printed (BIL-11)."""
    answer = sync({"credits": "0.1", "credits_usd_reference": "0.0001"})

    assert answer.usage is not None
    assert isinstance(answer.usage["credits"], Decimal)
    assert answer.usage["credits"] == Decimal("0.1")
    assert {fact.clause for fact in BILLING} == {f"BIL-0{n}" for n in range(1, 8)}
