"""Where our own folders are, installed or in a checkout, and the contract that lies in one of them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal

from chatproof.contract import Contract


@cache
def read_contract() -> Contract:
    """The contract that this installation carries."""
    return Contract.parse((folder("conformance") / "contract.toml").read_text(encoding="utf-8"))


def folder(name: Literal["conformance", "load", "schemas"]) -> Path:
    """One of our own folders: installed within the package, else at the top of the checkout."""
    package = Path(__file__).resolve().parents[1]
    for place in (package / name, package.parents[1] / name):
        if place.is_dir():
            return place
    raise FileNotFoundError(f"the folder {name!r} of chatproof is missing: install it again")
