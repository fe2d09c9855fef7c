"""X-Request-Id: the client's own comes back, generated ones differ, hostile ones do no harm (RID-02, 03, 05)."""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping

import pytest

from chatproof.answer import Answer
from chatproof.probe import Talk, Violation, noise, told
from chatproof.record import ASIDE, Headers, Transfer
from chatproof.verdict import NotObserved

REQUEST_ID = "X-Request-Id"
ALLOWED = string.ascii_letters + string.digits + "._-"
LONGEST = 128
CROWD = 16

VALID: Mapping[str, str] = {
    "shortest": "7",
    "longest": ("cp-" + ALLOWED * 2)[:LONGEST],  # with every character that is allowed
}

Ask = Callable[[Talk, Headers], Answer]
KINDS: Mapping[str, Ask] = {
    "sync": lambda talk, headers: talk.chat(headers=headers),
    "stream": lambda talk, headers: talk.chat(headers=headers, stream=True),
    "refused": lambda talk, headers: talk.chat(headers=headers, messages=[]),
    "unauthorized": lambda talk, headers: talk.chat(headers=headers, authorization=None, key=None),
    "not-found": lambda talk, headers: talk.request("GET", f"/no-such-route-{talk.nonce()}", headers=headers),
}


@pytest.mark.clause("RID-03")
@pytest.mark.parametrize(
    ("form", "kind"), [*(("longest", kind) for kind in KINDS), ("shortest", "sync"), ("shortest", "refused")]
)
def test_own_id_is_taken(talk: Talk, kind: str, form: str) -> None:
    """An id of 1 to 128 allowed characters is no reason to refuse; that it comes back is judged on every exchange."""
    answer = KINDS[kind](talk, ((REQUEST_ID, VALID[form]),))

    if answer.status is None or noise(answer):
        raise NotObserved(told(answer))
    if kind in ("sync", "stream") and answer.is_error:
        talk.control(stream=kind == "stream")
        raise Violation(f"200 beside {REQUEST_ID}: {VALID[form]}", told(answer), answer)


@pytest.mark.clause("RID-02")
def test_generated_ids_differ_in_a_crowd(talk: Talk) -> None:
    """Sixteen requests at once, of which every other one is refused; that ids differ is judged over all exchanges."""

    def call(n: int) -> Callable[[], Answer]:
        body, key = talk.body(**({} if n % 2 else {"messages": []})), talk.nonce()
        return lambda: talk.chat(body, step=f"call-{n:02}", key=key)

    answers = talk.together([call(n) for n in range(1, CROWD + 1)])

    silent = [answer for answer in answers if answer.status is None]
    if silent:
        raise NotObserved(f"{len(silent)} of {CROWD} requests at once were not answered: {told(silent[0])}")


HOSTILE: Mapping[str, str] = {
    "10-kB": "a" * 10_240,
    "control-characters": "cp\x01\x1b[31m\x7fid",
    "null": "cp\x00id",
    "carriage-return": "cp\rX-Injected: yes",
    "non-ascii": "cp-идентификатор-🌍",
    "encoded-line-end": "cp%0d%0aX-Injected:%20yes",
}


@pytest.mark.clause("RID-05")
@pytest.mark.parametrize("form", HOSTILE)
def test_hostile_id_does_no_harm(talk: Talk, form: str) -> None:
    """An id that is too long, has control characters or is no ASCII is refused, replaced or cut.

    A request with control characters in its head is not HTTP (RFC 9110, 5.5): whatever stands before the deployment may
    say so in its own way, which no other clause judges.
    """
    sent = HOSTILE[form]
    aside = ASIDE if any(ord(character) < 32 for character in sent) else ""

    def ask(step: str) -> Answer:
        return talk.chat(headers=((REQUEST_ID, sent),), bare=True, step=aside + step)

    answer = ask("first")
    if (answer.status or 0) >= 500 or noise(answer):
        answer = ask("second")
        talk.control()
    if noise(answer):
        raise NotObserved(told(answer))

    if answer.status is not None and answer.status >= 500:
        raise Violation("no 5xx to an odd X-Request-Id", told(answer), answer)
    raw = reflected(answer, sent)
    if raw is not None:
        raise Violation("an id that is refused, replaced or cut", raw, answer)


def reflected(answer: Answer, sent: str) -> str | None:
    """Where a response's head brings back what must not be in it; a value may have been cut."""
    if answer.exchange.transfer is Transfer.MALFORMED:
        return f"a response that is no HTTP: {answer.exchange.detail}"
    for name, value in answer.exchange.headers:
        own = name.lower() == REQUEST_ID.lower()
        injected = name.lower() == "x-injected"
        unprintable = own and not (value.isascii() and value.isprintable())
        uncut = len(sent) > LONGEST and sent in value
        if injected or unprintable or uncut:
            return f"{name}: {value[:60]!r} ({len(value)} characters)"
    return None
