"""JSON text as values, each fraction with the digits that it was printed in. Knows nothing of what the text says."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any


class Number(Decimal):
    """A JSON number that is not an integer, with the text it was printed as: money is judged on its digits."""

    text: str

    def __new__(cls, text: str) -> Number:
        """The number that JSON text spells."""
        number = super().__new__(cls, text)
        number.text = text
        return number


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


_decode = json.JSONDecoder(parse_float=Number, parse_constant=_no_constant).decode


def decode_json(data: bytes) -> Any:
    """JSON text in UTF-8 as Python values, fractions as :class:`Number`; ValueError where it is not JSON (RFC 8259)."""
    try:
        return _decode(data.decode("utf-8"))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def decoded(data: bytes) -> Any:
    """The value of JSON text; `None` where it is not JSON (or is null)."""
    try:
        return decode_json(data)
    except ValueError:
        return None
