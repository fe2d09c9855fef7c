"""Streams: that they come, end, are refused properly, report usage, and leave their connection (STR-01, 02, 10..16)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from chatproof.answer import Answer
from chatproof.facts.billing import CREDITS, figure, token_usage
from chatproof.money import Printed
from chatproof.probe import Talk, Violation, arrived, kept_line, noise, told, user
from chatproof.record import Ending, Transfer
from chatproof.verdict import NotObserved

ERRORS = tuple(range(400, 600))
WITH_USAGE: Any = {"stream": True, "stream_options": {"include_usage": True}}


def minimal_stream(talk: Talk, good: Callable[[Answer], bool]) -> Answer:
    """The first minimal stream that is good, else the third: three failures in a row are no accident."""
    answers = [talk.minimal(stream=True)]
    while not good(answers[-1]) and len(answers) < 3:
        answers.append(talk.chat(stream=True))
    return answers[-1]


@pytest.mark.clause("STR-01")
def test_stream_is_answered(talk: Talk) -> None:
    """A minimal streaming request is answered 200; what it says of itself is judged on every stream."""
    last = minimal_stream(talk, lambda answer: answer.status == 200)

    if last.status in (401, 429):
        raise NotObserved(told(last))
    if last.status != 200:
        raise Violation("200 to a minimal streaming request", f"three times, at last: {told(last)}", last)


@pytest.mark.clause("STR-02")
def test_stream_comes_to_its_end(talk: Talk) -> None:
    """A minimal stream reaches `[DONE]`."""
    last = minimal_stream(talk, lambda answer: bool(answer.dones))

    if last.status != 200 or last.stream_error:
        raise NotObserved(told(last))
    if not last.dones:
        raise Violation("a stream that ends with data: [DONE]", f"three times without it: {told(last)}", last)


def failures(talk: Talk) -> Iterator[tuple[str, Callable[[], Answer]]]:
    """Streaming requests that fail before they start: what is wrong with each, and how to send it."""
    provoke = talk.target.provoke
    down, limited, empty = provoke.unavailable_model, provoke.rate_limited_key, provoke.empty_wallet_key
    yield "no messages", asked(talk, "invalid", messages=[])
    yield "an unknown model", asked(talk, "model", model=f"no-such-model-{talk.nonce()}")
    yield "an unknown key", asked(talk, "key", authorization=f"Bearer {talk.unknown_key}")
    if talk.settings.sampling_exclusivity == "reject":
        yield "temperature and top_p", asked(talk, "sampling", temperature=0.5, top_p=0.5)
    if down:
        yield "an unavailable model", asked(talk, "down", model=down)
    if limited:
        yield "a rate-limited key", asked(talk, "limited", authorization=f"Bearer {limited}")
    if empty:
        yield "an empty wallet", asked(talk, "empty", authorization=f"Bearer {empty}")


def asked(talk: Talk, step: str, **request: Any) -> Callable[[], Answer]:
    """A streaming request to be sent later; a refusal of any kind is what it is after."""
    return lambda: talk.chat(stream=True, step=step, key=None, expected=ERRORS, **request)


def unfinished(answer: Answer) -> bool:
    """Whether a response came whole, and is neither a stream that came to its end nor a completion."""
    return answer.whole and answer.ending is not Ending.COMPLETE


@pytest.mark.clause("STR-10")
def test_failure_before_the_stream_is_an_http_error(talk: Talk) -> None:
    """What fails before its stream starts is answered with an error status and no event stream.

    A request that a deployment accepts all the same is no failure: other clauses judge that.
    """
    sound = talk.control(stream=True).ending is Ending.COMPLETE
    answers = [(what, ask()) for what, ask in failures(talk)]
    failed = [(what, a) for what, a in answers if a.is_error or a.error or (sound and unfinished(a))]
    if not failed:
        raise NotObserved("none of the requests that should fail did")

    for what, answer in failed:
        streamed = answer.media_type == "text/event-stream" or answer.body.lstrip().startswith(b"data:")
        if not answer.is_error or streamed:
            kind = answer.media_type or "no content type"
            raise Violation(
                f"{what}: an HTTP error, not a stream", f"{answer.status}, {kind}: {told(answer)}", answer
            )


def stream_with_usage(talk: Talk) -> Answer:
    """A stream of this model that was asked for usage, shared by the probes that look at it."""

    def ask(own: Talk) -> Answer:
        answer = own.chat(**WITH_USAGE)
        return answer if arrived(answer) else own.chat(**WITH_USAGE)

    return talk.shared("usage", ask)


@pytest.mark.clause("STR-12")
def test_usage_is_reported(talk: Talk, model: str) -> None:
    """A stream of each model is asked for usage; what it reports is judged on every such stream."""
    talk.control(stream=True)
    answer = stream_with_usage(talk)
    if noise(answer):
        raise NotObserved(told(answer))
    if answer.is_error:
        raise Violation("200 to a stream that asks for usage, as without", told(answer), answer)

    if not arrived(answer):
        raise NotObserved(told(answer))


@pytest.mark.clause("STR-12")
def test_usage_of_two_choices_is_reported(talk: Talk) -> None:
    """So is a stream of two choices, where the deployment gives them: no clause promises more than one."""
    answer = talk.chat(**WITH_USAGE, n=2)

    if noise(answer):
        raise NotObserved(told(answer))


@pytest.mark.clause("BIL-07")
def test_stream_shows_its_charge(talk: Talk, model: str) -> None:
    """The usage of a stream of each model is there to be judged; the figures are judged on every stream."""
    answer = stream_with_usage(talk)

    if answer.usage is None:
        raise NotObserved(f"a stream that was asked for usage reported none: {told(answer)}")


@pytest.mark.clause("STR-15")
def test_connection_serves_another_exchange(talk: Talk, model: str) -> None:
    """After a stream the same connection answers again; to close it is legal where keep-alive was not promised."""
    prompt = f"{talk.nonce()}: ignore this code. Count from 1 to 40, with a space between the numbers."
    for attempt in ("first", "second"):
        with kept_line(talk) as line:
            request: Any = {"stream": True, "max_tokens": 40, "messages": [user(prompt)]}
            stream = talk.chat(step=f"{attempt}-stream", line=line, **request)
            if not stream.whole or stream.status != 200:
                raise NotObserved(f"no whole stream: {told(stream)}")
            said = (stream.exchange.header("Connection") or "").lower()
            if "close" in said:
                return
            after = talk.chat(step=f"{attempt}-after", line=line)
        promised = "keep-alive" in said or stream.exchange.header("Keep-Alive") is not None
        closed = after.status is None and after.exchange.transfer in (Transfer.CUT, Transfer.RESET)
        if after.status is not None or (closed and not promised):
            return
    talk.control()

    raise Violation("an answer on the connection that carried the stream", told(after), after)


@pytest.mark.clause("STR-16")
def test_stream_costs_what_a_body_costs(talk: Talk) -> None:
    """The same deterministic request, streamed and not, reports the same prompt tokens and the same price per token."""
    settled: Any = {"messages": talk.body()["messages"], "temperature": 0, "seed": 7}
    whole = talk.chat(step="whole", **settled)
    if whole.status != 200 and not noise(whole):
        del settled["seed"]  # an optional field, which may be refused
        whole = talk.chat(step="whole-unseeded", **settled)
    stream = talk.chat(step="stream", **settled, **WITH_USAGE)
    for answer in (whole, stream):
        if not arrived(answer) or answer.count("prompt_tokens") is None:
            raise NotObserved(f"no usage to compare: {told(answer)}")

    counts = [answer.count("prompt_tokens") for answer in (whole, stream)]
    if counts[0] != counts[1]:
        raise Violation(f"prompt_tokens {counts[0]}, as in the unstreamed answer", counts[1], stream)
    charge, streamed = figure(whole, CREDITS), figure(stream, CREDITS)
    if token_usage(whole) == token_usage(stream) and not same_charge(charge, streamed):
        raise Violation(
            f"credits {charge}, as for the unstreamed answer of as many tokens", str(streamed), stream
        )


def same_charge(one: Printed | None, other: Printed | None) -> bool:
    """Whether two charges agree as printed; one that is not shown is not compared."""
    return one is None or other is None or abs(one.value - other.value) <= max(one.unit, other.unit)


@pytest.mark.clause("STR-19")
def test_offered_coding(talk: Talk) -> None:
    """What a client that can read gzip and deflate gets is recorded; as a stream it is judged like any other."""
    answer = talk.chat(stream=True, headers=(("Accept-Encoding", "gzip, deflate"),))

    if not arrived(answer):
        raise NotObserved(told(answer))
    coding = answer.exchange.header("Content-Encoding") or "none"
    talk.notes.append(f"a stream for which gzip and deflate were offered has the coding {coding}")
