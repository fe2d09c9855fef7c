"""LiteLLM's own price map, read as data from the installed `litellm` package without importing it.

Importing `litellm` takes four seconds and runs its code; the map is a JSON file in its wheel.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from chatproof.money import Prices

PRICE_MAP = "model_prices_and_context_window_backup.json"
_TIER = re.compile(r"(?:input|output)_cost_per_token_above_([0-9]+)k_tokens")


class PriceMapError(ValueError):
    """The installed map cannot be read; the message is one line that says what to do."""


def litellm_prices(model: str) -> Prices | None:
    """USD per token of a model by its LiteLLM name; `None` without `litellm` or a price in its map.

    A model whose price rises for long prompts is known up to the first such step (`Prices.up_to`).
    """
    path = _price_map()
    if path is None:
        return None
    entry = _entries(path).get(model)
    return _prices(entry) if isinstance(entry, Mapping) else None


def _price_map() -> Path | None:
    """Where the map lies; finding a top-level package does not run it."""
    spec = find_spec("litellm")
    folders = (spec.submodule_search_locations if spec else None) or ()
    return next((path for folder in folders if (path := Path(folder) / PRICE_MAP).is_file()), None)


@cache
def _entries(path: Path) -> Mapping[str, Any]:
    try:
        entries = json.loads(path.read_bytes(), parse_float=Decimal)
    except (OSError, ValueError) as error:
        raise PriceMapError(
            f"LiteLLM's price map {path} cannot be read ({error}): reinstall litellm"
        ) from error
    return entries if isinstance(entries, dict) else {}


def _prices(entry: Mapping[str, Any]) -> Prices | None:
    prompt, completion, cached = (
        Decimal(value) if isinstance(value := entry.get(name), int | Decimal) else None
        for name in ("input_cost_per_token", "output_cost_per_token", "cache_read_input_token_cost")
    )
    if prompt is None or completion is None:
        return None
    steps = [int(found[1]) * 1000 for name in entry if (found := _TIER.fullmatch(name))]
    return Prices(prompt, completion, cached, min(steps, default=None))
