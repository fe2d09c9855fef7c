"""LiteLLM's price map is found and read without running LiteLLM."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from chatproof.money import Prices
from chatproof.prices import PRICE_MAP, PriceMapError, litellm_prices

MAP = """{
  "sample_spec": {"input_cost_per_token": "text", "output_cost_per_token": 0},
  "novita/minimax/minimax-m2.7": {
    "input_cost_per_token": 3e-07, "output_cost_per_token": 1.2e-06, "cache_read_input_token_cost": 6e-08
  },
  "free": {"input_cost_per_token": 0, "output_cost_per_token": 0.0},
  "stepped": {
    "input_cost_per_token": 1.25e-06, "output_cost_per_token": 1e-05,
    "input_cost_per_token_above_200k_tokens": 2.5e-06, "output_cost_per_token_above_272k_tokens": 1.5e-05
  },
  "embedding": {"input_cost_per_token": 1e-08},
  "odd": 3
}"""


@pytest.fixture
def litellm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package of that name that must not be run."""
    package = tmp_path / "litellm"
    package.mkdir()
    (package / "__init__.py").write_text("raise AssertionError('litellm was imported')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "litellm", raising=False)
    yield package
    assert "litellm" not in sys.modules


@pytest.mark.parametrize(
    ("model", "prices"),
    [
        ("novita/minimax/minimax-m2.7", Prices(Decimal("3E-7"), Decimal("0.0000012"), Decimal("6E-8"))),
        ("free", Prices(Decimal(0), Decimal(0))),
        ("stepped", Prices(Decimal("0.00000125"), Decimal("0.00001"), None, 200_000)),
        ("minimax/MiniMax-M2.7", None),
        ("embedding", None),
        ("sample_spec", None),
        ("odd", None),
    ],
)
def test_prices(litellm: Path, model: str, prices: Prices | None) -> None:
    """A price is the decimal that stands in the map; what has no such prices is unknown."""
    (litellm / PRICE_MAP).write_text(MAP)

    assert litellm_prices(model) == prices


def test_no_map(litellm: Path) -> None:
    """A package without the map knows no model."""
    assert litellm_prices("free") is None


def test_map_of_another_shape(litellm: Path) -> None:
    """A map that is no JSON object knows no model."""
    (litellm / PRICE_MAP).write_text("[]")

    assert litellm_prices("free") is None


def test_no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package no model is known."""
    monkeypatch.setattr("chatproof.prices.find_spec", lambda name: None)

    assert litellm_prices("free") is None


def test_broken_map(litellm: Path) -> None:
    """A map that is cut short is one line that says what to do."""
    (litellm / PRICE_MAP).write_text(MAP[:100])

    with pytest.raises(PriceMapError, match=r"cannot be read .* reinstall litellm$"):
        litellm_prices("free")
