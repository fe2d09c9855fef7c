"""What a run was made with: versions, machine, seed. The one part of a report that looks at this process."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Any, Final, Literal

from chatproof import __version__
from chatproof.record import Exchange

Command = Literal["check", "gate", "load", "replay"]
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
# Headers in which a deployment names its build; what they hold is shown, never judged.
VERSION_HEADERS: Final = (
    "server",
    "via",
    "x-version",
    "x-api-version",
    "x-app-version",
    "x-build",
    "x-release",
    "openai-version",
    "x-litellm-version",
    "x-powered-by",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInfo:
    """One run, as whoever started it knows it; instants are aware of their zone."""

    command: Command
    seed: int
    started: datetime
    ended: datetime
    jobs: int = 1
    strict: bool = False
    interrupted: bool = False
    reference: bool = False  # the target was the embedded reference
    made_with: Mapping[str, Any] = field(default_factory=dict)  # what `made_with()` gave
    name: str = ""  # what the run is known by already, if it is

    @property
    def id(self) -> str:
        """The run's name: when it began, and its seed; a folder may be called so."""
        return self.name or f"{self.started.astimezone(UTC):%Y%m%dT%H%M%SZ}-{self.seed:012x}"


def made_with() -> dict[str, Any]:
    """Tool, dependencies, Python and machine of this process, in JSON's types."""
    return {
        "tool": {"name": "chatproof", "version": __version__},
        "dependencies": dependencies(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "machine": {
            "system": platform.system(),
            "release": platform.release(),
            "architecture": platform.machine(),
            "cpus": os.cpu_count() or 1,
        },
    }


def dependencies() -> dict[str, str]:
    """The installed version of each package that the tool declares, by name."""
    named = [found[0] for line in requires("chatproof") or [] if (found := _NAME.match(line))]
    return {name: number for name in sorted(set(named)) if (number := _installed(name))}


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None  # of an extra that is not installed


def says_of_itself(exchanges: Iterable[Exchange]) -> dict[str, list[str]]:
    """What the target names itself and its build in response headers: header name to its values, each once."""
    said: dict[str, dict[str, None]] = {}
    for exchange in exchanges:
        for name in VERSION_HEADERS:
            for value in exchange.header_values(name):
                said.setdefault(name, {})[value] = None
    return {name: sorted(values)[:10] for name, values in sorted(said.items())}
