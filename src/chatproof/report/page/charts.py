"""Charts as SVG text, made by pure functions: lines, stacked bars, marks. Knows no metric and no page.

Readable without colour: lines differ in their dashes and carry their names, bars in their hatching, points in their
shapes. Each chart carries its values as (x, y, text), in the picture's own units: the page's script shows them on
hover and by arrow keys.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from chatproof.report.page.scale import Scale

WIDTH: Final = 640
HEIGHT: Final = 280
LEFT, RIGHT, TOP, BOTTOM = 76, 14, 30, 44
X_ENDS: Final = (LEFT, WIDTH - RIGHT)
Y_ENDS: Final = (HEIGHT - BOTTOM, TOP)
STYLES: Final = 6  # how many lines and hatchings the page's styles tell apart


@dataclass(frozen=True, slots=True)
class Value:
    """A point that can be read: where, and what it says."""

    x: float
    y: float
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture with its words."""

    title: str
    note: str  # definition, n, clock
    svg: str
    values: tuple[Value, ...]
    keys: tuple[tuple[str, str], ...] = ()  # legend: (class of the swatch, name)

    @property
    def data(self) -> str:
        """The values for the page's script."""
        return json.dumps([[round(v.x, 1), round(v.y, 1), v.text] for v in self.values], ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Axis:
    """A scale with its words."""

    scale: Scale
    label: str
    words: tuple[tuple[float, str], ...]  # ticks


@dataclass(frozen=True, slots=True)
class Line:
    """A curve through points; `low` and `high` bound its interval."""

    name: str
    points: tuple[tuple[float, float], ...]
    low: tuple[tuple[float, float], ...] = ()
    high: tuple[tuple[float, float], ...] = ()
    step: bool = False


@dataclass(frozen=True, slots=True)
class Limit:
    """A line across the whole chart at one value of x or y."""

    axis: str  # "x" or "y"
    at: float
    name: str


def draw(
    x: Axis,
    y: Axis,
    *,
    lines: Sequence[Line] = (),
    limits: Sequence[Limit] = (),
    bands: Sequence[tuple[float, float]] = (),
    shapes: Sequence[tuple[float, float, str]] = (),
) -> str:
    """The SVG of curves over two axes; `bands` are spans of x that are marked, `shapes` single points."""
    parts = [
        *(_band(x.scale, low, high) for low, high in bands),
        *_axes(x, y),
        *(part for index, line in enumerate(lines) for part in _line(x.scale, y.scale, line, index)),
        *(part for limit in limits for part in _limit(x.scale, y.scale, limit)),
        *(_shape(x.scale.at(px), y.scale.at(py), kind) for px, py, kind in shapes),
    ]
    return _svg(parts)


def bars(x: Axis, y: Axis, width: float, stacks: Sequence[Sequence[tuple[str, float]]]) -> str:
    """The SVG of stacked bars, the first at x = 0, each `width` wide: (class, amount) from below."""
    parts = _axes(x, y)
    for index, stack in enumerate(stacks):
        left, right = x.scale.at(index * width), x.scale.at((index + 1) * width)
        reached = 0.0
        for style, amount in stack:
            low, high = y.scale.at(reached), y.scale.at(reached + amount)
            reached += amount
            if amount:
                place = f'x="{left + 0.5:.1f}" y="{high:.1f}" width="{max(1, right - left - 1):.1f}"'
                parts.append(f'<rect class="bar {style}" {place} height="{low - high:.1f}"/>')
    return _svg(parts)


def _svg(parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" aria-hidden="true" focusable="false">{"".join(parts)}'
        f'<g class="cursor" hidden><line y1="{TOP}" y2="{HEIGHT - BOTTOM}"/><circle r="4"/></g></svg>'
    )


def _axes(x: Axis, y: Axis) -> list[str]:
    bottom, top = Y_ENDS
    left, right = X_ENDS
    parts = [f'<path class="axis" d="M{left} {bottom}H{right}"/>']
    for value, word in y.words:
        place = y.scale.at(value)
        parts.append(f'<path class="grid" d="M{left} {place:.1f}H{right}"/>')
        parts.append(
            f'<text class="tick" x="{left - 6}" y="{place + 4:.1f}" text-anchor="end">{escape(word)}</text>'
        )
    for value, word in x.words:
        place = x.scale.at(value)
        parts.append(f'<path class="axis" d="M{place:.1f} {bottom}v4"/>')
        parts.append(
            f'<text class="tick" x="{place:.1f}" y="{bottom + 18}" text-anchor="middle">{escape(word)}</text>'
        )
    parts.append(
        f'<text class="label" x="{right}" y="{HEIGHT - 5}" text-anchor="end">{escape(x.label)}</text>'
    )
    parts.append(f'<text class="label" x="{left}" y="{top - 14}">{escape(y.label)}</text>')
    return parts


def _line(x: Scale, y: Scale, line: Line, index: int) -> list[str]:
    places = [(x.at(px), y.at(py)) for px, py in line.points]
    if not places:
        return []
    style = index % STYLES
    parts = []
    if line.low and line.high:
        edge = [(x.at(px), y.at(py)) for px, py in (*line.high, *reversed(line.low))]
        outline = " ".join(f"{px:.1f},{py:.1f}" for px, py in edge)
        parts.append(f'<polygon class="interval s{style}" points="{outline}"/>')
    parts.append(f'<path class="curve s{style}" d="{_path(places, step=line.step)}"/>')
    if len(places) == 1:
        parts.append(f'<circle class="dot s{style}" cx="{places[0][0]:.1f}" cy="{places[0][1]:.1f}" r="3"/>')
    return parts


def _path(places: Sequence[tuple[float, float]], *, step: bool) -> str:
    (first_x, first_y), *rest = places
    joint = "H{0:.1f}V{1:.1f}" if step else "L{0:.1f} {1:.1f}"
    return f"M{first_x:.1f} {first_y:.1f}" + "".join(joint.format(px, py) for px, py in rest)


def _limit(x: Scale, y: Scale, limit: Limit) -> list[str]:
    bottom, top = Y_ENDS
    left, right = X_ENDS
    if limit.axis == "x":
        place = x.at(limit.at)
        anchor, shift = ("end", -5) if place > (left + right) / 2 else ("start", 5)
        words = f'x="{place + shift:.1f}" y="{top + 2}" text-anchor="{anchor}"'
        line = f"M{place:.1f} {top}V{bottom}"
    else:
        place = y.at(limit.at)
        words = f'x="{right}" y="{place - 8:.1f}" text-anchor="end"'
        line = f"M{left} {place:.1f}H{right}"
    return [f'<path class="limit" d="{line}"/>', f'<text class="limit" {words}>{escape(limit.name)}</text>']


def _band(x: Scale, low: float, high: float) -> str:
    start, end = x.at(low), x.at(high)
    bottom, top = Y_ENDS
    place = f'x="{start:.1f}" y="{top}" width="{max(1.0, end - start):.1f}" height="{bottom - top}"'
    return f'<rect class="band" {place}/>'


SHAPES: Final = {
    "pass": '<circle class="shape pass" cx="0" cy="0" r="5"/>',
    "fail": '<path class="shape fail" d="M-5-5L5 5M5-5L-5 5"/>',
    "inconclusive": '<path class="shape" d="M0-6L6 5H-6Z"/>',
    "invalid": '<path class="shape" d="M-5-5H5V5H-5Z"/>',
}


def _shape(x: float, y: float, kind: str) -> str:
    return f'<g transform="translate({x:.1f} {y:.1f})">{SHAPES[kind]}</g>'
