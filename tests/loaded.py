"""The load section of a run made by hand: rows with known endings, through the figures that a real run has."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from chatproof.metrics import Histogram, StreamRow, figures, parse_terms
from chatproof.metrics.measures import endings, spent
from chatproof.metrics.series import series
from chatproof.metrics.slo import judge, slo_report
from chatproof.metrics.throughput import bunching, throughput
from chatproof.record import Ending

MS = 1_000_000
S = 1_000_000_000
SECONDS = 20
ODD = {
    17: Ending.CUT,
    60: Ending.RATE_LIMITED,
    61: Ending.HTTP_ERROR,
    133: Ending.STALLED,
    399: Ending.STILL_RUNNING,
}


def rows(slower_ms: int = 0) -> list[StreamRow]:
    """400 streams, 20 a second, TTFT from 180 to 279 ms, gaps of 20 ms, five that did not complete."""
    return [_row(number, ODD.get(number, Ending.COMPLETE), slower_ms) for number in range(20 * SECONDS)]


def _row(number: int, ending: Ending, slower_ms: int) -> StreamRow:
    start = number * S // 20
    first = start + (180 + slower_ms + (number * 37) % 100) * MS
    done = ending is Ending.COMPLETE
    return StreamRow(
        stream_id=f"s{number}",
        scenario="steady",
        worker="w0",
        intended_ns=start,
        started_ns=start,
        first_byte_ns=first - 5 * MS if done else None,
        first_content_ns=first if done else None,
        last_content_ns=first + 400 * MS if done else None,
        ended_ns=None if ending is Ending.STILL_RUNNING else first + 401 * MS,
        ending=ending,
        clock="kernel",
        completion_tokens=21,
        content_events=21 if done else 0,
        events=23,
        reads=22,
        credits="0.05",
        gaps=Histogram.of([20 * MS] * 20).pack() if done else "",
    )


def load(*, slower_ms: int = 0, busy: bool = False) -> dict[str, Any]:
    """The section; `busy` is that of a client that was not fit."""
    made, window = rows(slower_ms), SECONDS * S
    rates = throughput(made, 0, window)
    terms = parse_terms(["ttft_p95<250ms", "complete_fraction>=0.9"])
    cpu = [0.2] * 8 + [0.99, 1.0] + [0.25] * 10 if busy else [0.2] * SECONDS
    return {
        "scenario": "steady",
        "seconds": float(SECONDS),
        "reason": "the run's time was over",
        "options": {"rate": 20.0, "seed": 1, "target": None},
        "metrics": figures(made),
        "streams": {"total": len(made), **endings(made)},
        "rate": {
            "asked": 20.0,
            "achieved": 20.0,
            "tokens_per_s": rates.tokens_per_s,
            "events_per_s": rates.events_per_s,
        },
        "bunching": asdict(bunching(made)),
        "series": series(made, window),
        "slo": slo_report([judge(term, made) for term in terms]),
        "cost": {"credits": str(spent(made)[0]), "answers_without_charge": 0, "budget_credits": "50"},
        "capacity": {
            "knee_per_s": 40.0,
            "not_met_per_s": 45.0,
            "reason": "met and not met are within 5%",
            "objectives": ["ttft_p95<250ms"],
            "steps": [
                {"rate_per_s": rate, "outcome": outcome, "requests": 100, "complete": 99, "ttft_p95_s": ttft}
                for rate, outcome, ttft in (
                    (10.0, "pass", 0.2),
                    (40.0, "pass", 0.24),
                    (45.0, "inconclusive", 0.25),
                    (80.0, "fail", 1.4),
                )
            ],
        },
        "conformance": [
            {
                "id": "STR-02",
                "level": "MUST",
                "scope": "every",
                "subjects": 398,
                "kept": 397,
                "violations": 1,
                "first_at_s": 3.2,
                "rate_at_first_per_s": 20.0,
            }
        ],
        "health": {
            "valid": not busy,
            "clock": "kernel",
            "complaints": ["w0: share of seconds with a full core 0.6, limit 0.5"] if busy else [],
            "advice": "the client was too busy to tell: run the same load with --processes 2" if busy else "",
            "incomplete_workers": [],
            "workers": [
                {
                    "worker": "w0",
                    "hub_lag_p99_ms": 1.5,
                    "canary_p99_ms": 0.06,
                    "schedule_lag_p99_ms": None,
                    "cpu_mean": 0.2,
                    "cpu_max": max(cpu),
                    "cpu_per_s": cpu,
                    "gc": {"pauses": 0, "total_ms": 0.0, "max_ms": 0.0},
                    "rss_mb": {"first": 70.0, "last": 71.5},
                }
            ],
        },
        "troubles": [],
    }
