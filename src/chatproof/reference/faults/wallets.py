"""Faults that only the balance shows: what is taken off the wallet is not what the answers say."""

from __future__ import annotations

from decimal import ROUND_UP, Decimal

from ..access import MAIN_KEY
from ..call import Call
from ..conditions import REPLAY, STREAM, SUCCEEDED, SYNC, When, asks_for, key_sent
from ..seams import POSTINGS, Change
from ..vocabulary import Fault, fails
from ..wallet import DOWN

Amounts = tuple[Decimal, ...]

_STREAMED = STREAM & SUCCEEDED & ~REPLAY
_SYNC = SYNC & SUCCEEDED & ~REPLAY
_FAILED = key_sent(MAIN_KEY) & ~SUCCEEDED
_INVALID = _FAILED & ~asks_for(model=DOWN)
_USAGE = When("usage was asked for", lambda call: call.include_usage)
_FEE = Decimal("0.00100000")
_CENT = Decimal("0.01")


def _twice(call: Call, amounts: Amounts) -> Amounts:
    return amounts * 2


def _nothing(call: Call, amounts: Amounts) -> Amounts:
    return ()


def _fee(call: Call, amounts: Amounts) -> Amounts:
    return (*amounts, _FEE)


def _rounded_up(call: Call, amounts: Amounts) -> Amounts:
    return tuple(amount.quantize(_CENT, ROUND_UP) for amount in amounts)


def _balance(name: str, sentence: str, change: Change[Amounts], *more: str) -> Fault:
    return Fault(name, sentence, fails("BIL-10", *more), (change,))


FAULTS = (
    _balance(
        "stream-in-two-ledger-rows",
        "A stream with usage is taken off the wallet twice.",
        Change(POSTINGS, _twice, _STREAMED & _USAGE),
    ),
    _balance(
        "stream-not-posted",
        "A stream with usage shows its charge and is not taken off the wallet.",
        Change(POSTINGS, _nothing, _STREAMED & _USAGE),
    ),
    _balance(
        "sync-in-two-ledger-rows",
        "A sync call is taken off the wallet twice.",
        Change(POSTINGS, _twice, _SYNC),
        "BIL-09",
    ),
    _balance(
        "sync-not-posted",
        "A sync call shows its charge and is not taken off the wallet.",
        Change(POSTINGS, _nothing, _SYNC),
        "BIL-09",
    ),
    _balance(
        "posted-rounded-up",
        "A sync call shows its charge and is taken off the wallet rounded up to a hundredth.",
        Change(POSTINGS, _rounded_up, _SYNC),
        "BIL-09",
    ),
    _balance(
        "fee-beside-the-charge",
        "A stream is taken off the wallet with a fee that the answer does not show.",
        Change(POSTINGS, _fee, _STREAMED & _USAGE),
    ),
    _balance(
        "stream-without-usage-free",
        "A stream that was not asked for usage is not taken off the wallet.",
        Change(POSTINGS, _nothing, _STREAMED & ~_USAGE),
    ),
    _balance(
        "failed-calls-posted",
        "A failed call costs a fee that only the wallet shows.",
        Change(POSTINGS, _fee, _INVALID),
    ),
)
