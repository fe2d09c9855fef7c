"""A recording as if it were the deployment: probes ask, the recorded exchanges answer, by their tags. Offline.

Nothing is sent: a call is answered by the exchange that the same step of the same probe made when the run was
recorded, and a step that the recording lacks is not observed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import msgspec

from chatproof import har
from chatproof.answer import Answer
from chatproof.check import Conductor, check
from chatproof.record import Exchange
from chatproof.run import Judged
from chatproof.target import Balance, Billing, Budget, Deviation, Model, Provoke, Settings, Slo, Target, Waive
from chatproof.verdict import NotObserved
from chatproof.wire import Call, Gateway

IN_PLACE_OF_A_KEY = "recorded-key"


class RecordingError(ValueError):
    """The folder holds no recording that can be judged; one line that says what to do."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A run as its report's folder holds it."""

    document: Mapping[str, Any]
    exchanges: tuple[Exchange, ...]
    target: Target

    @property
    def seed(self) -> int:
        """The seed of the run's nonces."""
        return int(self.document["run"]["seed"])

    @property
    def day(self) -> date:
        """The day on which the run was judged: entries of the target file are read on it."""
        return datetime.fromisoformat(self.document["run"]["ended"]).astimezone().date()

    @property
    def outcomes(self) -> dict[str, str]:
        """Each clause's outcome when the run was judged."""
        return {row["id"]: row["outcome"] for row in self.document["clauses"]}


class Recording(Gateway):
    """A gateway that answers calls from a recording."""

    def __init__(self, target: Target, exchanges: Sequence[Exchange], seed: int) -> None:
        super().__init__(target, seed=seed)
        self._recorded = tuple(exchanges)
        self._by_step: dict[tuple[str, str], Exchange] = {}
        for exchange in exchanges:
            tag = exchange.tag
            place = (tag.probe.partition("@")[0], tag.step)
            known = self._by_step.get(place)
            same_worker = known is None or known.tag.probe == tag.probe
            if known is None or (same_worker and tag.attempt > known.tag.attempt):
                self._by_step[place] = exchange

    @property
    def exchanges(self) -> tuple[Exchange, ...]:
        """The recorded exchanges."""
        return self._recorded

    def send(self, call: Call, line: object = None) -> Answer:
        """What the call was answered when it was recorded, at its last attempt."""
        found = self._by_step.get((call.tag.probe.partition("@")[0], call.tag.step))
        if found is None:
            raise NotObserved(f"the recording has no exchange {call.tag}")
        return Answer(found)

    def lateness_ns(self, start_ns: int, end_ns: int) -> int:
        """How late the client was, at worst, in the recorded exchanges that overlap a span."""
        spans = (e for e in self._recorded if e.started_ns <= end_ns and e.ended_ns >= start_ns)
        return max((exchange.lateness_ns for exchange in spans), default=0)


def read(folder: Path) -> Recorded:
    """The run that a report's folder holds; RecordingError where it holds none."""
    try:
        document = json.loads((folder / "report.json").read_bytes())
        exchanges = har.loads((folder / "exchanges.har").read_bytes())
        return Recorded(document, exchanges, _target(document["target"]))
    except OSError as wrong:
        name = Path(wrong.filename or folder).name
        raise RecordingError(
            f"{folder}: {name} cannot be read: give the folder that --report named"
        ) from None
    except har.HarError as wrong:
        raise RecordingError(f"{folder}/exchanges.har: {wrong}") from None
    except (ValueError, KeyError, TypeError, msgspec.ValidationError) as wrong:
        raise RecordingError(f"{folder}/report.json is no report of a conformance run: {wrong}") from None


def judge_again(recorded: Recorded, only: frozenset[str] = frozenset()) -> Judged:
    """Judge a recording by the probes and the facts of this version, on the day it was made.

    `only` names clauses whose probes are run; none means all. Facts are judged in full either way.
    """
    gateway = Recording(recorded.target, recorded.exchanges, recorded.seed)
    conductor = Conductor(recorded.target, recorded.seed, gateway=gateway, today=recorded.day, only=only)
    return check(conductor)


def _target(described: Mapping[str, Any]) -> Target:
    """The target as the report describes it; a word stands where a key was."""
    provoked = dict.fromkeys(described["provoke"], IN_PLACE_OF_A_KEY)
    billing = described["billing"]
    hook = billing["balance"]
    balance = Balance(url=hook, pointer=billing.get("balance_pointer", "")) if hook else None

    def values(kind: Any, given: Any) -> Any:
        return msgspec.convert(given, kind, strict=False, dec_hook=lambda to, value: to(str(value)))

    rate = billing["credits_per_usd_rate"]
    return Target(
        base_url=described["base_url"],
        api_key=IN_PLACE_OF_A_KEY,
        origin=f"recording of {described['origin']}",
        timeout_s=described["timeout_s"],
        stall_s=described["stall_s"],
        models=values(tuple[Model, ...], described["model"]),
        billing=msgspec.structs.replace(values(Billing, {"credits_per_usd_rate": rate}), balance=balance),
        provoke=Provoke(**provoked),
        settings=values(Settings, described["settings"]),
        deviations=values(tuple[Deviation, ...], described["deviation"]),
        waives=values(tuple[Waive, ...], described["waive"]),
        budget=Budget(),
        slo=values(Slo, described["slo"]),
    )
