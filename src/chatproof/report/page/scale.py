"""From values to places on a chart, and to words: scales, round ticks, durations. Pure; knows no SVG."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, log10
from typing import Final

UNITS: Final = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))
WIDE: Final = 30  # a range of so many times its start is shown on a logarithmic scale


@dataclass(frozen=True, slots=True)
class Scale:
    """Values from `low` to `high` on the places from `start` to `end`; logarithmic where `log`."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        """The place of a value; one outside stands at the nearer end."""
        inside = min(max(value, self.low), self.high)
        if self.log:
            share = (log10(inside) - log10(self.low)) / (log10(self.high) - log10(self.low))
        else:
            share = (inside - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Round values within the scale, four to nine of them where it can be."""
        if self.log:
            powers = range(floor(log10(self.low)), ceil(log10(self.high)) + 1)
            steps = (1, 2, 5) if len(powers) <= 4 else (1,)
            found = [step * 10.0**power for power in powers for step in steps]
        else:
            step = _step((self.high - self.low) / 5)
            first = ceil(self.low / step - 1e-9)
            found = [number * step for number in range(first, floor(self.high / step + 1e-9) + 1)]
        return [tick for tick in found if self.low * (1 - 1e-9) <= tick <= self.high * (1 + 1e-9)]


def scale(values: list[float], start: float, end: float, *, zero: bool = False, wide: bool = False) -> Scale:
    """A scale that holds the values: from 0 with `zero`; logarithmic with `wide` where they lie far apart."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    if wide and low > 0 and high / low >= WIDE:
        return Scale(low, high, start, end, log=True)
    low = min(0.0, low) if zero else low
    if high <= low:
        low, high = (0.0, high * 2) if high > 0 else (low, low + 1)
    pad = (high - low) * 0.04
    return Scale(low if zero or low == 0 else max(0.0, low - pad), high + pad, start, end)


def _step(rough: float) -> float:
    power = 10.0 ** floor(log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))


def duration(seconds: float | None) -> str:
    """Seconds in the unit that reads best, three digits: `812 ms`, `1.24 s`; `-` for none."""
    if seconds is None:
        return "-"
    if seconds == 0:
        return "0 s"
    factor, unit = next(((f, u) for f, u in UNITS if abs(seconds) >= f * 0.9995), UNITS[-1])
    return f"{number(seconds / factor)} {unit}"


def number(value: float | None) -> str:
    """A number with three digits, or all of its whole part; `-` for none."""
    if value is None:
        return "-"
    if value == 0:
        return "0"
    digits = max(0, 2 - floor(log10(abs(value)) + 1e-9))
    text = f"{value:,.{min(digits, 6)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def share(value: float | None) -> str:
    """A share as percent, as exact as its distance from all or nothing asks for."""
    if value is None:
        return "-"
    small = min(value, 1 - value)
    digits = 0 if small <= 0 or small >= 0.1 else 1 if small >= 0.01 else 2
    return f"{100 * value:.{digits}f} %"
