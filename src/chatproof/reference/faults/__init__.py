"""Broken deployments, each a named value; one module per section of the contract."""

from __future__ import annotations

from ..vocabulary import by_name
from . import streaming

FAULTS = by_name(streaming.FAULTS)
