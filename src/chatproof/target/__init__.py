"""The deployment under test, from a target file or the environment; also where our own folders are.

The one room that reads configuration. Knows nothing of HTTP, nor of what is done with a target.
"""

from __future__ import annotations

from chatproof.target.deployment import Target
from chatproof.target.keys import (
    PREREQUISITES,
    Balance,
    Billing,
    Budget,
    Deviation,
    Incremental,
    Match,
    Model,
    Money,
    Prerequisite,
    Provoke,
    Settings,
    Share,
    Slo,
    TargetError,
    Waive,
)
from chatproof.target.places import folder, read_contract
from chatproof.target.reading import load_target, parse_target
from chatproof.target.starter import starter_text

__all__ = [
    "PREREQUISITES",
    "Balance",
    "Billing",
    "Budget",
    "Deviation",
    "Incremental",
    "Match",
    "Model",
    "Money",
    "Prerequisite",
    "Provoke",
    "Settings",
    "Share",
    "Slo",
    "Target",
    "TargetError",
    "Waive",
    "folder",
    "load_target",
    "parse_target",
    "read_contract",
    "starter_text",
]
