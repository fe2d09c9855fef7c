"""The first look at a target: does it answer at all, and which model do the probes pin."""

from __future__ import annotations

from collections.abc import Sequence

from chatproof.answer import Answer
from chatproof.probe import Shared, Talk
from chatproof.record import Transfer
from chatproof.target import Model, Target
from chatproof.wire import Gateway, Unreachable

PROBE = "preflight"
NO_ANSWER = (Transfer.REFUSED, Transfer.TIMED_OUT, Transfer.MALFORMED, Transfer.CUT, Transfer.RESET)


def settle(gateway: Gateway, seed: int) -> Target:
    """The gateway's target with at least one model: its own, else the first of `/models`, else `auto`.

    Raises Unreachable where two requests get no HTTP answer at all; any answer, an HTML page too, will do.
    """
    target = gateway.target
    talk = Talk(gateway, PROBE, seed, Shared(), "auto")
    listed = talk.request("GET", "/models")
    if listed.status is None:
        listed = talk.request("GET", "/models")
    if listed.status is None and listed.exchange.transfer in NO_ANSWER:
        raise Unreachable(f"{target.base_url} gives no HTTP answer: {_why(listed)}")
    return target if target.models else target.with_models([Model(id=_first_model(listed))])


def _first_model(listed: Answer) -> str:
    data = listed.fields.get("data")
    ids = [row.get("id") for row in data if isinstance(row, dict)] if isinstance(data, list) else []
    return next((name for name in ids if isinstance(name, str) and name and name != "auto"), "auto")


def _why(answer: Answer) -> str:
    """The transport's own words, and the question that most often answers them."""
    exchange = answer.exchange
    detail = exchange.detail or str(exchange.transfer)
    plain = exchange.request.url.startswith("http:")
    for words, question in QUESTIONS.items():
        if any(word in detail.lower() for word in words):
            return f"{detail} - {question}"
    if plain and exchange.transfer in (Transfer.RESET, Transfer.CUT, Transfer.MALFORMED):
        return f"{detail} - is the scheme right, or does this port speak https?"
    if exchange.transfer is Transfer.TIMED_OUT:
        return f"{detail} - is it overloaded, or is timeout_s too short for it?"
    return detail


QUESTIONS = {
    ("mismatch",): "its certificate is for another name: use that name in the base URL",
    ("expired",): "its certificate has expired: renew it, or set this machine's clock",
    ("certificate",): "its certificate is not trusted here: set ca_file in the target file",
    ("ssl", "tls"): "is the scheme right, https or http?",
    ("refused",): "is it running, and is the port right?",
    ("not known", "no address", "resolution", "nodename"): "is the host's name right?",
    (
        "timed out",
        "in time",
        "unreachable",
        "no route",
    ): "is it reachable from here, through VPN, firewall and proxy?",
}


def hint(answers: Sequence[Answer]) -> str | None:
    """What to look at first where most answers are of no chat API; `None` where they are."""
    looks = [look for answer in answers if (look := _look(answer)) is not None]
    for look, advice in HINTS.items():
        if looks.count(look) > len(answers) // 2:
            return advice
    return None


def _look(answer: Answer) -> str | None:
    if any(mark in answer.body[:2000].lower() for mark in (b"<html", b"<!doctype")):
        return "a page"
    if answer.status in (301, 302, 303, 307, 308):
        return "a redirect"
    if answer.status in (401, 403):
        return "no access"
    return "not found" if answer.status == 404 else None


HINTS = {
    "a page": "most answers are HTML pages: is the base URL the API's (it ends in /v1), or a website, "
    "a login page or a proxy in front of it?",
    "a redirect": "most answers are redirects, which are not followed so that no key travels: "
    "give the address that they lead to as the base URL",
    "no access": "most answers are 401 or 403: is the key the right one for this deployment?",
    "not found": "most answers are 404: is the path in front of /v1 right?",
}
