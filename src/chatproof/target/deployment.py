"""A deployment and how it is to be judged, as a value. Knows no file, no environment and nothing of HTTP."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from chatproof.target.address import is_loopback
from chatproof.target.keys import (
    PREREQUISITES,
    Balance,
    Billing,
    Budget,
    Deviation,
    Model,
    Prerequisite,
    Provoke,
    Settings,
    Slo,
    Waive,
)

KEYS: Final = ("rate_limited_key", "empty_wallet_key", "revoked_key", "flaky_key")


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A deployment and how it is to be judged: complete, checked, with every variable put in.

    `base_url` ends in /v1 without a slash behind it. `models` may be empty: then whoever runs chooses.
    """

    base_url: str
    api_key: str
    origin: str  # what named it: a file's name, --base-url, BEATRA_BASE_URL
    headers: Mapping[str, str] = {}
    ca_file: Path | None = None
    timeout_s: float = 60
    stall_s: float = 20
    models: tuple[Model, ...] = ()
    billing: Billing = Billing()
    provoke: Provoke = Provoke()
    settings: Settings = Settings()
    deviations: tuple[Deviation, ...] = ()
    waives: tuple[Waive, ...] = ()
    budget: Budget = Budget()
    slo: Slo = Slo()
    header_secrets: Mapping[str, str] = {}  # by kind: `header_x-token`, `balance_header_authorization`

    def __repr__(self) -> str:
        return f"Target({self.base_url!r}, from {self.origin!r}, {len(self.models)} models)"

    def __rich_repr__(self) -> Any:
        return (("base_url", self.base_url), ("origin", self.origin), ("models", self.models))

    @property
    def is_loopback(self) -> bool:
        """Whether the target runs on this machine."""
        return is_loopback(self.base_url)

    @property
    def secrets(self) -> dict[str, str]:
        """Every value that may appear in nothing that is written down, by the kind its marker names."""
        keys = {kind: getattr(self.provoke, kind) for kind in KEYS}
        return {
            "api_key": self.api_key,
            **{kind: key for kind, key in keys.items() if key},
            **self.header_secrets,
        }

    @property
    def hash(self) -> str:
        """SHA-256 of what it says, secrets left out: equal for two readings of one file with other keys."""
        said = {key: value for key, value in self.described().items() if key != "origin"}
        return hashlib.sha256(msgspec.json.encode(said, order="deterministic")).hexdigest()

    def with_models(self, models: Iterable[Model]) -> Target:
        """The same target with these models, the first of which is pinned."""
        return msgspec.structs.replace(self, models=tuple(models))

    def missing(self) -> tuple[Prerequisite, ...]:
        """What the target does not give, and which clauses stay untestable without it."""
        return tuple(
            row
            for row in PREREQUISITES
            if not self._gives(row.key) and not (row.instead and self._gives(row.instead))
        )

    def _gives(self, key: str) -> bool:
        table, name = key.split(".")
        if table == "model":
            return any(getattr(model, name) is not None for model in self.models)
        return getattr(getattr(self, table), name) is not None

    def described(self) -> dict[str, Any]:
        """The target for a report, in JSON's types: no key, no secret header, a command's program only."""
        shown = {
            name: "<redacted>" if f"header_{name.lower()}" in self.header_secrets else value
            for name, value in self.headers.items()
        }
        balance = self.billing.balance or Balance(url="")
        source = balance.command[0] if balance.command else (balance.url or "").partition("?")[0]
        said = {
            "origin": self.origin,
            "base_url": self.base_url,
            "headers": shown,
            "ca_file": self.ca_file.name if self.ca_file else None,
            "timeout_s": self.timeout_s,
            "stall_s": self.stall_s,
            "model": self.models,
            "billing": {
                "credits_per_usd_rate": self.billing.credits_per_usd_rate,
                "balance": source or None,
                "balance_pointer": balance.pointer if balance else None,
            },
            "provoke": [key for key in self.provoke.__struct_fields__ if getattr(self.provoke, key)],
            "settings": self.settings,
            "deviation": [_unnumbered(entry) for entry in self.deviations],
            "waive": [_unnumbered(entry) for entry in self.waives],
            "budget": self.budget,
            "slo": self.slo,
        }
        return msgspec.to_builtins(said, enc_hook=str)  # type: ignore[no-any-return]


def _unnumbered(entry: Deviation | Waive) -> dict[str, Any]:
    """An entry without its line, which says nothing of the target."""
    return {name: value for name, value in msgspec.structs.asdict(entry).items() if name != "line"}
