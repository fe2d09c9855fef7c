"""Durations on the command line: `90`, `90s`, `10m`, `1.5h`; seconds inside."""

from __future__ import annotations

import re
from typing import Any

import click

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}


class Duration(click.ParamType[float]):
    """A time above 0, in seconds unless its unit is said."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds; a usage error where it is no time."""
        found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", str(value).strip())
        if not found or not float(found[1]):
            return self.fail(f"{value!r} is no time: write it like 90s, 10m or 1.5h", param, ctx)
        return float(found[1]) * _UNITS[found[2]]
