"""What a person sees while a load runs and when it is over. Shows figures, computes none but the newest percentiles."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape

from chatproof.record import Ending
from chatproof.swarm.master.live import P50, P95, P99, Live
from chatproof.swarm.worker.health import Health
from chatproof.verdict import EXIT_MEANING, Verdict

NS = 1e9
MOST_REASONS = 3
_console = Console(stderr=True, highlight=False, soft_wrap=True)


def say(text: str) -> None:
    """One line on standard error."""
    _console.print(escape(text))


def line(live: Live, running: int, health: Sequence[Health], now_ns: int) -> str:
    """The progress line: figures of the last ten seconds, counts of the whole run."""
    newest = live.recent(10)
    total, complete = sum(live.endings.values()), live.endings[Ending.COMPLETE]
    cpu = [each.cpu[-1] for each in health if each.cpu]
    p50, p95, gap99 = (
        _ns(found.quantile(q)) for found, q in ((newest.ttft, P50), (newest.ttft, P95), (newest.gaps, P99))
    )
    parts = [
        f"{now_ns / NS:6.1f} s",
        f"{total} ended, {running} running, {total - complete} not complete",
        f"TTFT p50 {p50} p95 {p95}, gap p99 {gap99}",
        f"{newest.tokens / max(0.001, min(10.0, now_ns / NS)):,.0f} tokens/s",
        f"client CPU {max(cpu):.0%}" if cpu else "client CPU -",
    ]
    return " | ".join(parts)


def closing(section: Mapping[str, Any], verdict: Verdict, target: str) -> list[str]:
    """The lines that end a run."""
    metrics, streams, health = section["metrics"], section["streams"], section["health"]
    ends = ", ".join(f"{count} {name}" for name, count in streams.items() if count and name != "total")
    lines = [
        f"{section['scenario']} on {target}: {section['seconds']:g} s, {streams['total']} requests ({ends or 'none'})"
    ]
    lines += [
        f"  {ending}: {said['detail']} ({said['count']})"
        for ending, every in section["details"].items()
        for said in every
        if said["detail"] not in section["troubles"]  # those were told when they came
    ]
    again = section["connections"]["reconnected"]
    if again:
        lines.append(f"  {again} requests met a kept connection that was being closed, and took a new one")
    if section["interrupted"]:
        lines.append(f"  {section['reason']}: this is what was measured until then")
    lines += _figures({name: metrics[name] for name in ("ttft", "itl", "tpot", "e2e")})
    rate = section["rate"]
    searched = "capacity" in section  # its rates stand with its steps
    asked = f"asked {rate['asked']:.4g}/s, " if rate["asked"] and not searched else ""
    lines.append(f"  {asked}achieved {_number(rate['achieved'])}/s, {_number(rate['tokens_per_s'])} tokens/s")
    for step in section.get("capacity", {"steps": []})["steps"]:
        shown = "  ".join(
            f"{name[:-2].replace('_', ' ')} {_ms(value)}"
            for name, value in step.items()
            if name[-2:] == "_s" and "_p" in name and name != "rate_per_s"
        )
        lines.append(
            f"  step {step['rate_per_s']:.4g}/s: {step['outcome']}, {step['requests']} requests  {shown}"
        )
    lines += [*_burst(section.get("burst")), *_drift(section.get("drift", {}))]
    if section["cost"]["credits"] != "0":
        lines.append(f"  cost {section['cost']['credits']} credits")
    for row in section["conformance"]:
        if row["violations"]:
            when = (
                f"; first at {row['first_at_s']} s, {row['rate_at_first_per_s']:.4g}/s"
                if row["first_at_s"]
                else ""
            )
            lines.append(f"  {row['id']} {row['worst']}: kept by {row['kept']} of {row['subjects']}{when}")
    terms = (section.get("slo") or {"terms": []})["terms"]
    lines += [f"  SLO {term['term']}: {term['verdict']} ({term['reason']})" for term in terms]
    lines += [f"  client: {text}" for text in health["complaints"]]
    meaning = EXIT_MEANING[verdict.exit].partition(":")[0]
    lines.append(
        f"{verdict.name.upper() if verdict.exit != 2 else 'USAGE'} (exit {int(verdict.exit)}, {meaning}): {verdict.why}"
    )
    return lines


def _burst(found: Mapping[str, Any] | None) -> list[str]:
    """The legs of a schedule with a burst, and when the target was itself again."""
    if found is None:
        return []
    lines = [
        f"  from {leg['from_s']:g} s: asked {leg['asked_per_s']:.4g}/s, achieved {leg['achieved_per_s']:.4g}/s, "
        f"{leg['complete']} of {leg['requests']} complete, "
        f"ttft p50 {_ms(leg['ttft_p50_s'])}  p95 {_ms(leg['ttft_p95_s'])}"
        for leg in found["legs"]
    ]
    after = found["recovery_s"]
    if after is None:
        return [*lines, "  after the burst: not as before it, or too little before to tell"]
    return [*lines, f"  after the burst: as before it {'at once' if after == 0 else f'from {after} s on'}"]


def _drift(found: Mapping[str, Any]) -> list[str]:
    """The trends of a soak."""
    return [
        f"  drift of {name.replace('_', ' ')}: {trend['trend']}"
        + (
            f", {trend['change']:+.1%} over the run (p {trend['p']:.2g})"
            if trend["change"] is not None
            else ""
        )
        + (f" ({trend['reason']})" if trend["reason"] else "")
        for name, trend in found.items()
    ]


def _figures(metrics: Mapping[str, Any]) -> list[str]:
    """The adjusted percentiles, and once why one is missing."""
    lines: list[str] = []
    missing: dict[str, list[str]] = {}
    for name, figure in metrics.items():
        adjusted = figure["adjusted"]
        if not figure["n"]:
            continue
        keys = [f"{label}_s" for label in ("p50", "p90", "p95", "p99")]
        shown = "  ".join(f"{key[:-2]} {_ms(adjusted[key])}" for key in keys)
        counted = f"n {adjusted['n']}"
        if adjusted["unfinished"]:
            counted += f", {adjusted['unfinished']} of them unfinished: infinitely slow"
        lines.append(f"  {name:<5} {shown}  ({counted}; {figure['clock']} clock)")
        for key in keys:
            if adjusted[key] is None:
                missing.setdefault(figure["reasons"][f"adjusted.{key}"], []).append(name)
    told = list(missing.items())[:MOST_REASONS]
    return [*lines, *(f"  - not told of {', '.join(names)}: {reason}" for reason, names in told)]


class Line:
    """The progress line: overwritten on a terminal, every five seconds elsewhere."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._status = _console.status("starting") if self._live else None
        self._last = 0.0
        if self._status is not None:
            self._status.start()

    def show(self, text: str, now_ns: int) -> None:
        """Shows the newest figures."""
        if self._status is not None:
            self._status.update(escape(text))
        elif now_ns / NS - self._last >= 5:
            self._last = now_ns / NS
            say(text)

    def close(self) -> None:
        """Leaves the terminal as it was."""
        if self._status is not None:
            self._status.stop()


def _ms(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1e3:.4g} ms"


def _ns(value: float | None) -> str:
    return _ms(None if value is None else value / NS)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.1f}"
