"""Service level objectives as they are written: in an option or in a target file's `[slo]`. Judges nothing.

A term says which share of streams must keep a limit: `ttft_p95<800ms` allows 5 % of them above 800 ms, and
`complete_fraction>=0.999` allows 0.1 % not complete.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Final

from chatproof.metrics.measures import MEASURES
from chatproof.metrics.percentiles import quantile_of

COMPLETE: Final = "complete_fraction"
GAPS: Final = "itl"
_UNITS: Final = {"us": 10**3, "ms": 10**6, "s": 10**9}
_TEXT: Final = re.compile(
    r"(?P<name>\w+?)(?:_(?P<label>p[\d.]+))?\s*(?P<sign>[<>]=?)\s*(?P<limit>[\d.]+)\s*(?P<unit>\w*)"
)
_KEY: Final = re.compile(r"(?P<name>\w+)_(?P<label>p\d+)_(?P<unit>us|ms|s)")


@dataclass(frozen=True, slots=True)
class Term:
    """One objective: at least `share` of the streams keep the limit."""

    text: str
    """As it was written."""
    metric: str
    label: str
    """The percentile, as in `p95`; empty for `complete_fraction`."""
    share: Fraction
    limit_ns: int = 0
    strict: bool = False
    """`<` rather than `<=`: the limit itself is already over."""

    @property
    def allowed(self) -> float:
        """The share of streams that may be over the limit."""
        return float(1 - self.share)

    def over(self, ns: float) -> bool:
        """Whether a value is over the limit."""
        return ns >= self.limit_ns if self.strict else ns > self.limit_ns


def parse_term(text: str) -> Term:
    """The term that a text like `itl_p99<=120ms` or `complete_fraction>=0.999` says; else ValueError."""
    found = _TEXT.fullmatch(text.strip())
    if not found:
        raise ValueError(
            f"SLO {text!r} is not understood: write it like ttft_p95<800ms or complete_fraction>=0.999"
        )
    name, label, sign = found["name"], found["label"] or "", found["sign"]
    if name == COMPLETE and not label:
        if sign[0] != ">" or found["unit"]:
            raise ValueError(f"SLO {text!r} is not understood: write it like {COMPLETE}>=0.999")
        return _complete(text.strip(), found["limit"])
    if sign[0] != "<" or found["unit"] not in _UNITS:
        raise ValueError(f"SLO {text!r}: a latency needs < or <= and a limit in us, ms or s")
    return _latency(text.strip(), name, label, found["limit"], found["unit"], strict=sign == "<")


def parse_terms(texts: Iterable[str]) -> tuple[Term, ...]:
    """The terms of some options, each of which may hold several with commas between."""
    return tuple(parse_term(part) for text in texts for part in text.split(",") if part.strip())


def terms_of(table: Mapping[str, object]) -> tuple[Term, ...]:
    """The terms of a target file's `[slo]` table: `ttft_p95_ms = 800` is `ttft_p95<=800ms`."""
    terms = []
    for key, value in table.items():
        if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
            raise ValueError(f"[slo] {key} = {value!r}: a number is needed")
        if key == COMPLETE:
            terms.append(_complete(f"{COMPLETE}>={value}", str(value)))
        elif found := _KEY.fullmatch(key):
            text = f"{found['name']}_{found['label']}<={value}{found['unit']}"
            terms.append(
                _latency(text, found["name"], found["label"], str(value), found["unit"], strict=False)
            )
        else:
            raise ValueError(f"[slo] {key!r} is not understood: write it like ttft_p95_ms; {_known()}")
    return tuple(terms)


def _latency(text: str, metric: str, label: str, limit: str, unit: str, *, strict: bool) -> Term:
    if metric not in (*MEASURES, GAPS):
        raise ValueError(f"SLO {text!r}: unknown metric {metric!r}; {_known()}")
    if not label:
        raise ValueError(f"SLO {text!r} names no percentile: write {metric}_p95")
    limit_ns = _number(text, limit) * _UNITS[unit]
    if limit_ns < 1:
        raise ValueError(f"SLO {text!r}: the limit must be above 0")
    try:
        share = quantile_of(label)
    except ValueError as error:
        raise ValueError(f"SLO {text!r}: {error}") from None
    return Term(text, metric, label, share, int(limit_ns), strict)


def _complete(text: str, limit: str) -> Term:
    share = _number(text, limit)
    if not 0 < share < 1:
        raise ValueError(
            f"SLO {text!r}: write a share between 0 and 1; no number of streams can show exactly 1"
        )
    return Term(text, COMPLETE, "", Fraction(share))


def _number(text: str, number: str) -> Decimal:
    try:
        value = Decimal(number)
    except InvalidOperation:
        raise ValueError(f"SLO {text!r}: {number!r} is no number") from None
    if not value.is_finite():
        raise ValueError(f"SLO {text!r}: {number!r} is no number")
    return value


def _known() -> str:
    return f"known are {', '.join((*MEASURES, GAPS))} (each with _p50 to _p999) and {COMPLETE}"
