"""Legal oddities of real deployments, each a named value: the suite must see no difference."""

from __future__ import annotations

from collections.abc import Mapping

from .vocabulary import Variation

VARIATIONS: Mapping[str, Variation] = {}
