"""The target-file entry that would accept a finding, for a person to give a reason and a date. Writes no file."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from chatproof.asked import NONCE

PASSING: Final = re.compile(rf"{NONCE.pattern}|chatcmpl|\b[\w-]*\d[\w-]{{14,}}")  # nonces and generated ids
MOST: Final = 80  # characters of a finding's text that an entry looks for


def deviation_entry(clause: str, finding: Mapping[str, Any]) -> str:
    """A `[[deviation]]` entry in TOML that lists this finding; reason and date are left to whoever accepts it.

    It looks for what was expected, which stays the same where ids and counts in what came differ. What differs from
    run to run in the route or in what was expected is left out: the entry would not match again.
    """
    route = finding["route"]
    match = {
        "route": None if route and NONCE.search(route) else route,
        "status": finding["status"],
        "contains": _piece(finding["expected"]),
    }
    written = ", ".join(f"{key} = {_toml(value)}" for key, value in match.items() if value)
    return "\n".join(
        [
            "[[deviation]]",
            f"clause = {_toml(clause)}",
            f"match = {{ {written} }}",
            'reason = ""  # why it is accepted',
            '# ticket = "GW-1"',
            "until = 2000-01-01  # the day on which it is red again",
        ]
    )


def _piece(text: str) -> str:
    """The beginning of a text, up to a name that another run has not."""
    line = text.splitlines()[0] if text.strip() else ""
    passing = PASSING.search(line)
    return (line[: passing.start()] if passing else line)[:MOST].rstrip()


def _toml(value: object) -> str:
    """A TOML value: a JSON string is a basic string of TOML, but for DEL."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
