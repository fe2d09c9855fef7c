"""The page /chatproof in locust's web UI: percentiles over time, endings, tokens, client health."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chatproof.swarm.conductor import Conductor


def add_page(web_ui: Any, conductor: Callable[[], Conductor | None]) -> None:
    """Adds the page and its data."""
