"""Legal oddities of real deployments, each a named value: the suite must see no difference."""

from __future__ import annotations

from ..vocabulary import by_name
from . import (
    answers,
    billing,
    bodies,
    chunks,
    errors,
    framing,
    identity,
    settings,
    text,
    timing,
    together,
)

VARIATIONS = by_name(
    framing.VARIATIONS,
    chunks.VARIATIONS,
    text.VARIATIONS,
    bodies.VARIATIONS,
    errors.VARIATIONS,
    identity.VARIATIONS,
    billing.VARIATIONS,
    timing.VARIATIONS,
    answers.VARIATIONS,
    settings.VARIATIONS,
    together.VARIATIONS,
)
