"""Broken deployments, each a named value; one module per section of the contract."""

from __future__ import annotations

from collections.abc import Mapping

from ..vocabulary import Fault

FAULTS: Mapping[str, Fault] = {}
