"""A target read from a file's text, or from what flags and environment name; every mistake is one clear line."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from chatproof.target.address import checked_base_url, checked_url, is_loopback
from chatproof.target.deployment import KEYS, Target
from chatproof.target.file import line_of, read_tables
from chatproof.target.keys import Balance, Model, TargetError, TargetFile
from chatproof.target.places import read_contract
from chatproof.target.secrets import checked_key, headers_from, key_from


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
    given = {kind: getattr(provoke, kind) for kind in KEYS if getattr(provoke, kind) is not None}
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
