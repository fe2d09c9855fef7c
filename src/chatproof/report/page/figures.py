"""Which charts a load section has, from its members as they stand. Draws what is there, and computes no figure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from chatproof.report.page.charts import X_ENDS, Y_ENDS, Axis, Chart, Limit, Line, Value, bars, draw
from chatproof.report.page.scale import duration, number, scale, share

Load = Mapping[str, Any]
NAMES: Final = {"ttft": "time to first token", "itl": "gap between tokens", "e2e": "whole answer"}
DEFINITIONS: Final = {
    "ttft": "TTFT: from the intended start to the first event with content; role-only and reasoning events are none",
    "itl": "gaps between consecutive content events of a stream",
    "e2e": "from the intended start to the end of the transfer",
}
CLOCKS: Final = {
    "kernel": "stamped by the kernel at the packet's arrival",
    "user": "stamped by the client at the read",
}
ENDINGS: Final = (  # from below in a stack, with the hatching that stands for each
    ("complete", "h0"),
    ("left", "h1"),
    ("still_running", "h2"),
    ("rate_limited", "h3"),
    ("http_error", "h4"),
    ("error_in_stream", "h5"),
    ("malformed", "h5"),
    ("cut", "h6"),
    ("reset", "h6"),
    ("stalled", "h7"),
    ("timed_out", "h7"),
    ("refused", "h8"),
    ("lost", "h8"),
)
CPU_FULL: Final = 0.97  # from where on a second counts as a full core
MOST_SECONDS: Final = 300
_TERM: Final = re.compile(r"(\w+?)_(p\d+)\s*<=?\s*([\d.]+)\s*(us|ms|s)")
_SECONDS: Final = {"us": 1e-6, "ms": 1e-3, "s": 1.0}


def charts(load: Load) -> list[Chart]:
    """Every chart that the section has figures for, in the order in which they are read."""
    return [chart for make in CHARTS for chart in make(load)]


def _objectives(load: Load) -> list[tuple[str, str, float, str]]:
    """Latency objectives as (metric, percentile, seconds, as written)."""
    texts = [term["term"] for term in (load.get("slo") or {}).get("terms", ())]
    texts += (load.get("capacity") or {}).get("objectives", [])
    found = [(match, text) for text in dict.fromkeys(texts) if (match := _TERM.fullmatch(text.strip()))]
    return [(m[1], m[2], float(m[3]) * _SECONDS[m[4]], text) for m, text in found]


def _clock(load: Load, metric: str) -> str:
    return CLOCKS.get(load["metrics"].get(metric, {}).get("clock", ""), "")


def _distributions(load: Load) -> Iterator[Chart]:
    for metric, found in (load.get("series") or {}).get("distributions", {}).items():
        if not found["points"]:
            continue
        points = [(value, part) for value, part in found["points"]]
        limits = [(at, text) for name, _, at, text in _objectives(load) if name == metric]
        spans = [value for value, _ in points if value > 0] + [at for at, _ in limits]
        x = _durations(scale(spans, *X_ENDS, wide=True), "logarithmic" if _wide(spans) else "")
        y = Axis(scale([0, 1], *Y_ENDS, zero=True), "share of all that were at most so slow", _percents())
        unfinished = found["unfinished"]
        missing = f"; {unfinished} unfinished streams never get there" if unfinished else ""
        yield Chart(
            title=f"Distribution of the {NAMES[metric]}",
            note=f"{DEFINITIONS[metric]}; n = {number(found['n'])}{missing}; {_clock(load, metric)}",
            svg=draw(
                x,
                y,
                lines=[Line(metric, tuple(points), step=True)],
                limits=[Limit("x", at, text) for at, text in limits],
            ),
            values=tuple(
                Value(x.scale.at(value), y.scale.at(part), f"{share(part)} within {duration(value)}")
                for value, part in points
            ),
        )


def _over_time(load: Load) -> Iterator[Chart]:
    found = (load.get("series") or {}).get("percentiles", {})
    for metric in NAMES:
        points = found.get(metric, ())
        labels = [name for name in (points[0] if points else {}) if name.startswith("p")]
        shown = {label: [p for p in points if p[label][0] is not None] for label in labels}
        shown = {label: each for label, each in shown.items() if len(each) > 1}
        if not shown:
            continue
        limits = [(at, text) for name, _, at, text in _objectives(load) if name == metric]
        heights = [
            value for label, each in shown.items() for p in each for value in p[label] if value is not None
        ]
        x = _times(max(p["at_s"] for p in points) + found["bin_s"] / 2)
        y = _durations(scale([*heights, *(at for at, _ in limits)], *Y_ENDS, zero=True), "")
        yield Chart(
            title=f"The {NAMES[metric]} over time",
            note=f"adjusted percentiles of {found['bin_s']:g} s each, by intended start; an unfinished stream is "
            f"infinitely slow; shaded: 95 % interval; {_clock(load, metric)}",
            svg=draw(
                x,
                Axis(y.scale, f"{metric.upper()} {', '.join(shown)}", y.words),
                lines=[_percentile_line(label, each) for label, each in shown.items()],
                limits=[Limit("y", at, text) for at, text in limits],
            ),
            values=tuple(
                Value(x.scale.at(p["at_s"]), y.scale.at(p[first][0]), _percentiles_text(p, labels))
                for first in [next(iter(shown))]
                for p in shown[first]
            ),
            keys=tuple((f"line s{index}", label) for index, label in enumerate(shown)),
        )


def _percentile_line(label: str, points: Sequence[Load]) -> Line:
    bounded = [p for p in points if p[label][1] is not None and p[label][2] is not None]
    return Line(
        label,
        tuple((p["at_s"], p[label][0]) for p in points),
        low=tuple((p["at_s"], p[label][1]) for p in bounded),
        high=tuple((p["at_s"], p[label][2]) for p in bounded),
    )


def _percentiles_text(point: Load, labels: Sequence[str]) -> str:
    said = [
        f"{label} {duration(value)}"
        + (f" ({duration(low)} to {duration(high)})" if low is not None and high is not None else "")
        for label in labels
        for value, low, high in [point[label]]
    ]
    return f"at {number(point['at_s'])} s: {', '.join(said)}; {point['streams']} streams"


def _endings(load: Load) -> Iterator[Chart]:
    found = (load.get("series") or {}).get("endings")
    if not found or not found["counts"]:
        return
    counts, width = found["counts"], found["bin_s"]
    shown = [(name, style) for name, style in ENDINGS if name in counts]
    size = len(counts[shown[0][0]])
    totals = [sum(counts[name][i] for name, _ in shown) for i in range(size)]
    x = _times(size * width)
    y_scale = scale([0.0, float(max(totals))], *Y_ENDS, zero=True)
    y = Axis(
        y_scale, f"streams that ended in each {width:g} s", tuple((t, number(t)) for t in y_scale.ticks())
    )
    everything = sum(totals)
    yield Chart(
        title="How streams ended over time",
        note=f"n = {number(everything)} streams, by the second in which they ended; only complete is success",
        svg=bars(
            x,
            y,
            width,
            [[(f"{style} e-{name}", counts[name][i]) for name, style in shown] for i in range(size)],
        ),
        values=tuple(
            Value(
                x.scale.at((i + 0.5) * width),
                y.scale.at(totals[i]),
                f"{number(i * width)} to {number((i + 1) * width)} s: "
                + (
                    ", ".join(f"{counts[n][i]} {n.replace('_', ' ')}" for n, _ in shown if counts[n][i])
                    or "none"
                ),
            )
            for i in range(size)
        ),
        keys=tuple(
            (f"box {style} e-{name}", f"{name.replace('_', ' ')} {sum(counts[name])}")
            for name, style in shown
        ),
    )


def _capacity(load: Load) -> Iterator[Chart]:
    found = load.get("capacity")
    if not found or not found["steps"]:
        return
    for metric, label, limit, text in _objectives(load):
        key = f"{metric}_{label}_s"
        steps = sorted((s for s in found["steps"] if s.get(key) is not None), key=lambda s: s["rate_per_s"])
        if not steps:
            continue
        rates = [step["rate_per_s"] for step in steps]
        x_scale = scale([*rates, *([found["knee_per_s"]] if found["knee_per_s"] else [])], *X_ENDS, zero=True)
        x = Axis(x_scale, "requests a second asked for", tuple((t, number(t)) for t in x_scale.ticks()))
        y = _durations(
            scale([*(step[key] for step in steps), limit], *Y_ENDS, zero=True), f"{metric.upper()} {label}"
        )
        limits = [Limit("y", limit, text)]
        if found["knee_per_s"]:
            limits.append(Limit("x", found["knee_per_s"], f"knee {number(found['knee_per_s'])}/s"))
        yield Chart(
            title=f"Capacity: {metric.upper()} {label} by rate",
            note=f"each point is one step of the search, adjusted {label}; the knee is the highest rate that was "
            f"shown to meet {text}; {_clock(load, metric)}",
            svg=draw(
                x,
                y,
                lines=[Line(key, tuple((step["rate_per_s"], step[key]) for step in steps))],
                limits=limits,
                shapes=[(step["rate_per_s"], step[key], step["outcome"]) for step in steps],
            ),
            values=tuple(
                Value(
                    x.scale.at(step["rate_per_s"]),
                    y.scale.at(step[key]),
                    f"{number(step['rate_per_s'])}/s: {duration(step[key])}, {step['outcome']}, "
                    f"{step['complete']} of {step['requests']} complete",
                )
                for step in steps
            ),
            keys=(
                ("mark pass", "meets it"),
                ("mark fail", "misses it"),
                ("mark other", "not shown either way"),
            ),
        )


def _health(load: Load) -> Iterator[Chart]:
    workers = [w for w in (load.get("health") or {}).get("workers", ()) if w.get("cpu_per_s")]
    if not workers:
        return
    seconds = max(len(worker["cpu_per_s"]) for worker in workers)
    width = -(-seconds // MOST_SECONDS)
    loads = {worker["worker"]: _busiest(worker["cpu_per_s"], width) for worker in workers}
    full = [
        (i * width, (i + 1) * width)
        for i in range(-(-seconds // width))
        if any(len(each) > i and each[i] >= CPU_FULL for each in loads.values())
    ]
    x = _times(seconds)
    highest = max(1.0, *(value for each in loads.values() for value in each))
    y = Axis(scale([0.0, highest], *Y_ENDS, zero=True), "share of one core that the client used", _percents())
    points = {
        name: tuple(((i + 0.5) * width, value) for i, value in enumerate(each))
        for name, each in loads.items()
    }
    busiest = max(points, key=lambda name: (sum(value for _, value in points[name]), name))
    yield Chart(
        title="Was the client fit to measure?",
        note=f"a worker's share of one core, {width} s each; marked: seconds with a full core, in which the client "
        f"and not the target sets the pace; workers: {len(workers)}; the values are of {busiest}, the busiest",
        svg=draw(
            x,
            y,
            lines=[Line(name, each) for name, each in points.items()],
            limits=[Limit("y", CPU_FULL, "a full core")],
            bands=full,
        ),
        values=tuple(
            Value(x.scale.at(at), y.scale.at(value), f"at {number(at)} s: {share(value)} of a core")
            for at, value in points[busiest]
        ),
        keys=tuple((f"line s{index % 6}", name) for index, name in enumerate(points)),
    )


def _busiest(per_second: Sequence[float], width: int) -> list[float]:
    """The highest second of each span of so many."""
    return [max(per_second[start : start + width]) for start in range(0, len(per_second), width)]


def _times(end: float) -> Axis:
    found = scale([0.0, end], *X_ENDS, zero=True)
    return Axis(
        found, "seconds since the start", tuple((tick, number(tick)) for tick in found.ticks() if tick <= end)
    )


def _durations(found: Any, label: str) -> Axis:
    return Axis(found, label, tuple((tick, duration(tick)) for tick in found.ticks()))


def _percents() -> tuple[tuple[float, str], ...]:
    return tuple((part / 4, f"{25 * part} %") for part in range(5))


def _wide(values: Sequence[float]) -> bool:
    return scale(list(values), 0, 1, wide=True).log


CHARTS: Final[tuple[Callable[[Load], Iterator[Chart]], ...]] = (
    _distributions,
    _over_time,
    _endings,
    _capacity,
    _health,
)
