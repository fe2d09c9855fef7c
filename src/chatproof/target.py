"""The deployment under test, from a target file or the environment; also where our own folders are.

The one place that reads configuration. Knows nothing of HTTP, nor of what is done with a target.
"""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from chatproof.contract import Contract
from chatproof.target_address import checked_base_url, checked_url, is_loopback
from chatproof.target_file import line_of, read_tables
from chatproof.target_keys import (
    PREREQUISITES,
    Balance,
    Billing,
    Budget,
    Deviation,
    Incremental,
    Match,
    Model,
    Money,
    Prerequisite,
    Provoke,
    Settings,
    Share,
    Slo,
    TargetError,
    TargetFile,
    Waive,
)
from chatproof.target_secrets import checked_key, headers_from, key_from
from chatproof.target_starter import starter_text

__all__ = [
    "PREREQUISITES",
    "Balance",
    "Billing",
    "Budget",
    "Deviation",
    "Incremental",
    "Match",
    "Model",
    "Money",
    "Prerequisite",
    "Provoke",
    "Settings",
    "Share",
    "Slo",
    "Target",
    "TargetError",
    "Waive",
    "folder",
    "load_target",
    "parse_target",
    "read_contract",
    "starter_text",
]

_KEYS: Final = ("rate_limited_key", "empty_wallet_key", "revoked_key", "flaky_key")


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
        keys = {kind: getattr(self.provoke, kind) for kind in _KEYS}
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


def load_target(file: Path | None, base_url: str | None, env: Mapping[str, str]) -> Target | None:
    """The target that the flags or the environment name; None when nothing does.

    A file wins over `base_url`, which wins over BEATRA_BASE_URL. What is named but cannot be used is a
    `TargetError`: an empty variable is a secret that did not arrive, and must not end in a run against
    the reference.
    """
    if file is not None:
        return _from_file(file, env)
    if base_url is not None:
        return _from_url(base_url, "--base-url", env)
    if "BEATRA_BASE_URL" in env:
        return _from_url(env["BEATRA_BASE_URL"], "BEATRA_BASE_URL", env)
    if "BEATRA_API_KEY" in env:
        raise TargetError("BEATRA_API_KEY is set but BEATRA_BASE_URL is not: set both, or unset the key")
    return None


def parse_target(text: str, *, name: str, beside: Path, env: Mapping[str, str]) -> Target:
    """Read a target file's text; `name` stands in messages, `ca_file` lies in the folder `beside`."""
    tables = read_tables(text, name, read_contract())

    def at(path: str) -> str:
        return f"{name}:{line_of(text, path)}: {path}"

    base_url = checked_base_url(tables.base_url, at("base_url"))
    literal = is_loopback(base_url)
    headers, secrets = headers_from(tables.headers, at("headers"), env, literal=literal)
    provoke = tables.provoke
    given = {kind: getattr(provoke, kind) for kind in _KEYS if getattr(provoke, kind) is not None}
    keys = {kind: key_from(key, at(f"provoke.{kind}"), env, literal=literal) for kind, key in given.items()}
    balance, balance_secrets = _balance(tables, at, env)
    return Target(
        base_url=base_url,
        api_key=key_from(tables.api_key, at("api_key"), env, literal=literal),
        origin=name,
        headers=headers,
        ca_file=_ca_file(tables.ca_file, beside, at("ca_file")),
        timeout_s=tables.timeout_s,
        stall_s=tables.stall_s,
        models=tables.model or _model_of(env),
        billing=msgspec.structs.replace(tables.billing, balance=balance),
        provoke=msgspec.structs.replace(provoke, **keys),
        settings=tables.settings,
        deviations=tables.deviation,
        waives=tables.waive,
        budget=tables.budget,
        slo=tables.slo,
        header_secrets={f"header_{name.lower()}": value for name, value in secrets.items()}
        | {f"balance_header_{name.lower()}": value for name, value in balance_secrets.items()},
    )


@cache
def read_contract() -> Contract:
    """The contract that this installation carries."""
    return Contract.parse((folder("conformance") / "contract.toml").read_text(encoding="utf-8"))


def folder(name: Literal["conformance", "load", "schemas"]) -> Path:
    """One of our own folders: installed beside this module, else at the top of the checkout."""
    here = Path(__file__).resolve().parent
    for place in (here / name, here.parents[1] / name):
        if place.is_dir():
            return place
    raise FileNotFoundError(f"the folder {name!r} of chatproof is missing: install it again")


def _from_file(file: Path, env: Mapping[str, str]) -> Target:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as problem:
        reason = (problem.strerror or "it cannot be opened").lower()
        raise TargetError(f"{file}: cannot be read: {reason}; `chatproof init` writes a new one") from None
    except UnicodeDecodeError:
        raise TargetError(f"{file}: is not UTF-8 text: save it as UTF-8") from None
    return parse_target(text, name=str(file), beside=file.parent, env=env)


def _from_url(url: str, at: str, env: Mapping[str, str]) -> Target:
    base_url = checked_base_url(url, at)
    if "BEATRA_API_KEY" not in env:
        raise TargetError(f"{at} names a deployment but there is no key: export BEATRA_API_KEY")
    return Target(
        base_url=base_url,
        api_key=checked_key(env["BEATRA_API_KEY"], "BEATRA_API_KEY"),
        origin=at,
        models=_model_of(env),
    )


def _model_of(env: Mapping[str, str]) -> tuple[Model, ...]:
    if "BEATRA_MODEL" not in env:
        return ()
    if not env["BEATRA_MODEL"].strip():
        raise TargetError("BEATRA_MODEL is set but empty: name a model, or unset it")
    return (Model(id=env["BEATRA_MODEL"].strip()),)


def _balance(
    tables: TargetFile, at: Callable[[str], str], env: Mapping[str, str]
) -> tuple[Balance | None, Mapping[str, str]]:
    balance = tables.billing.balance
    if balance is None:
        return None, {}
    if balance.url is None:
        return balance, {}
    here = at("billing.balance")
    url = checked_url(balance.url, f"{here}.url")
    headers, secrets = headers_from(
        balance.headers,
        f"{here}.headers",
        env,
        literal=is_loopback(url),
        own=frozenset({"host", "content-length"}),
    )
    return msgspec.structs.replace(balance, headers=headers), secrets


def _ca_file(written: str | None, beside: Path, at: str) -> Path | None:
    if written is None:
        return None
    path = beside / written
    try:
        ssl.create_default_context(cafile=path)
    except ssl.SSLError:
        raise TargetError(f"{at}: {written!r} holds no certificate: it must be a PEM file") from None
    except OSError:
        raise TargetError(
            f"{at}: {written!r} cannot be read; it is looked for beside the target file"
        ) from None
    return path
