"""The words that faults and variations are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .seams import Change


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A deployment broken in one way."""

    name: str
    sentence: str
    changes: tuple[Change[Any], ...]
    breaks: Mapping[str, str]
    blinds: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Variation:
    """A legal oddity."""

    name: str
    sentence: str
    changes: tuple[Change[Any], ...]
    settings: str = ""
