"""The first look at a target: does it answer at all, and which model do the probes pin."""

from __future__ import annotations

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
    detail = answer.exchange.detail
    if "CERTIFICATE" in detail.upper():
        return f"{detail} - its certificate is not trusted here: set ca_file in the target file"
    if "SSL" in detail.upper() or "TLS" in detail.upper():
        return f"{detail} - is the scheme right, https or http?"
    if "refused" in detail.lower():
        return f"{detail} - is it running, and is the port right?"
    if ("name" in detail.lower() and "known" in detail.lower()) or "resolution" in detail.lower():
        return f"{detail} - is the host's name right?"
    return detail or str(answer.exchange.transfer)


def hint(answers: list[Answer]) -> str | None:
    """What to look at first when the deployment's answers are pages of something else; `None` where all is well."""
    pages = [a for a in answers if b"<html" in a.body[:2000].lower() or b"<!doctype" in a.body[:2000].lower()]
    if len(pages) > len(answers) // 2:
        return (
            "most answers are HTML pages: is the base URL the API's (it ends in /v1), or a website, "
            "a login page or a proxy in front of it?"
        )
    unauthorised = [a for a in answers if a.status in (401, 403)]
    if len(unauthorised) > len(answers) // 2:
        return "most answers are 401 or 403: is the key the right one for this deployment?"
    return None
