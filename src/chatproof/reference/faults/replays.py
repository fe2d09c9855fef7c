"""Faults of replays: another id, text, charge or X-Request-Id than the contract's."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from ..call import Call
from ..changes import put, reply, usage, with_header
from ..conditions import (
    IDEMPOTENT,
    REPLAY,
    SUCCEEDED,
    SYNC,
    When,
    header_sent,
)
from ..reply import Json, Reply
from ..seams import COMPLETION, POSTINGS, Change
from ..vocabulary import Fault, fails, warns

_REPLAYED = REPLAY & SUCCEEDED & SYNC


def _new_id(old: str) -> str:
    return f"{old}-1"


def _uncharged(shown: Json) -> Json:
    return {name: value for name, value in shown.items() if not name.startswith("credits")}


def _shown(call: Call) -> Decimal:
    return call.rendered.charge.credits if call.rendered else Decimal(0)


_RESULT = (
    Fault(
        "replay-has-new-id",
        "A replay brings the first text under a new completion id.",
        fails("IDM-02", "IDM-08") | warns("IDM-06"),
        (put(COMPLETION, "/id", _new_id, _REPLAYED),),
    ),
    Fault(
        "replay-has-new-text",
        "A replay brings another text under the first completion's id.",
        fails("IDM-02"),
        (put(COMPLETION, "/choices/0/message/content", "Here is another answer.", _REPLAYED),),
    ),
    Fault(
        "replay-posts-again",
        "A replay shows the first charge and takes it off the wallet again.",
        fails("BIL-09"),
        (Change(POSTINGS, lambda call, amounts: (_shown(call),), _REPLAYED),),
    ),
    Fault(
        "replay-refunds",
        "A replay gives the first charge back to the wallet.",
        fails("BIL-09"),
        (Change(POSTINGS, lambda call, amounts: (-_shown(call),), _REPLAYED),),
    ),
    Fault(
        "replay-costs-double",
        "A replay shows twice the first charge.",
        fails("IDM-02", "BIL-09", "BIL-04"),
        (
            usage("credits", lambda old: str(Decimal(old) * 2), _REPLAYED),
            usage("credits_usd_reference", lambda old: str(Decimal(old) * 2), _REPLAYED),
        ),
    ),
    Fault(
        "replay-is-free",
        "A replay shows that it costs nothing.",
        fails("IDM-02", "BIL-09", "BIL-05"),
        (usage("credits", "0", _REPLAYED), usage("credits_usd_reference", "0", _REPLAYED)),
    ),
    Fault(
        "replay-without-charge",
        "A replay shows no charge.",
        fails("IDM-02", "BIL-01", "BIL-09"),
        (put(COMPLETION, "/usage", _uncharged, _REPLAYED),),
    ),
)


def _first_id(call: Call, plan: Reply) -> Reply:
    """The header of the first answer is stored with its body."""
    made = call.rendered
    ids: dict[str, str] = call.world.memory.setdefault("request id by completion", {})
    first = ids.setdefault(made.identity.id if made else "", call.request_id)
    return replace(plan, headers=with_header(plan.headers, "X-Request-Id", first)) if call.replay else plan


def _stored_header(name: str, sentence: str, other: str, when: When) -> Fault:
    def edit(call: Call, plan: Reply) -> Reply:
        stored = _first_id(call, plan)
        return stored if when.holds(call) else plan

    return Fault(name, sentence, fails("IDM-08", other), (reply(edit, SUCCEEDED & SYNC & IDEMPOTENT),))


_IDS = (
    _stored_header(
        "replay-has-first-request-id",
        "A replay without an id of the client's brings the first one's X-Request-Id.",
        "RID-02",
        ~header_sent("X-Request-Id"),
    ),
    _stored_header(
        "replay-ignores-client-id",
        "A replay brings the first one's X-Request-Id instead of the client's own.",
        "RID-03",
        header_sent("X-Request-Id"),
    ),
)


FAULTS = (*_RESULT, *_IDS)
