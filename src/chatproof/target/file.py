"""Reads a target file's text into its tables, strictly, with line numbers. Knows no environment."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, Final

import msgspec

from chatproof.contract import Contract
from chatproof.target.keys import (
    TABLES,
    Balance,
    Deviation,
    Model,
    TargetError,
    TargetFile,
    Waive,
    exactly,
    keys_of,
)

_HEADER: Final = re.compile(r"\s*(\[\[?)\s*([A-Za-z0-9_.\s-]+?)\s*\]")
_KEY: Final = re.compile(r"""\s*["']?([A-Za-z0-9_.-]+)["']?\s*=""")
_MULTILINE: Final = re.compile(r'"""(?:\\.|[^\\])*?"""' r"|'''.*?'''", re.DOTALL)
_AT: Final = re.compile(r" - at `\$\.?(?P<path>.*)`$")
_INDEX: Final = re.compile(r"\[[^\]]*\]")
_MISSING: Final = re.compile(r"Object missing required field `(?P<key>.*)`")


def read_tables(text: str, name: str, contract: Contract) -> TargetFile:
    """Read a target file's text; whatever is wrong is one `TargetError` line that starts with `name:line`."""
    try:
        written = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise TargetError(f"{name}: not valid TOML: {_one_line(problem)}") from None
    lines = _line_numbers(text)
    _refuse_unknown_keys(written, "", "", name, lines)
    for table in ("deviation", "waive"):
        _number(written, table, lines)
    try:
        tables = msgspec.convert(written, TargetFile, dec_hook=exactly)
    except msgspec.ValidationError as problem:
        raise TargetError(_explained(str(problem), name, lines)) from None
    _check_models(tables.model, name, lines)
    _check_balance(tables.billing.balance, f"{name}:{_nearest(lines, 'billing.balance')}: billing.balance")
    _check_entries(tables.deviation, "[[deviation]]", name, contract)
    _check_entries(tables.waive, "[[waive]]", name, contract)
    return tables


def line_of(text: str, path: str) -> int:
    """The line where a key such as `provoke.flaky_key` or `model[1].id` stands; its table's where unknown."""
    return _nearest(_line_numbers(text), path)


def _line_numbers(text: str) -> Mapping[str, int]:
    """Where each table and key begins: enough of TOML's grammar to point at a line, never to read a value."""
    text = _MULTILINE.sub(lambda found: "\n" * found.group().count("\n"), text)
    lines: dict[str, int] = {}
    entries: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            first, *rest = re.split(r"\s*\.\s*", header.group(2))
            if header.group(1) == "[[" and not rest:
                entries[first] = entries.get(first, -1) + 1
            if first in entries:
                first = f"{first}[{entries[first]}]"
            table = ".".join([first, *rest])
            lines.setdefault(table, number)
        elif key := _KEY.match(line):
            lines.setdefault(f"{table}.{key.group(1)}" if table else key.group(1), number)
    return lines


def _nearest(lines: Mapping[str, int], path: str) -> int:
    """The line of the longest known beginning of a path; the first line where nothing of it is known."""
    while path:
        if path in lines:
            return lines[path]
        shorter = max(path.rfind("."), path.rfind("["))
        path = path[: max(shorter, 0)]
    return 1


def _refuse_unknown_keys(written: object, table: str, path: str, name: str, lines: Mapping[str, int]) -> None:
    if table not in TABLES:
        return
    if isinstance(written, list):
        for index, entry in enumerate(written):
            _refuse_unknown_keys(entry, table, f"{path}[{index}]", name, lines)
    elif isinstance(written, dict):
        known = keys_of(table)
        for key, value in written.items():
            below = f"{path}.{key}" if path else key
            if key not in known:
                raise TargetError(
                    f"{name}:{_nearest(lines, below)}: unknown key {key!r}{_advice(key, table)}"
                )
            _refuse_unknown_keys(value, f"{table}.{key}" if table else key, below, name, lines)


def _advice(key: str, table: str) -> str:
    known = keys_of(table)
    where = f" in [{table}]" if table else ""
    if close := get_close_matches(key, known, n=1):
        return f"{where}: did you mean {close[0]!r}?"
    if homes := [path for path in TABLES if path and key in keys_of(path)]:
        return f"{where}: it belongs in [{homes[0]}]"
    return f"{where}: known are {', '.join(known)}"


def _number(written: dict[str, Any], table: str, lines: Mapping[str, int]) -> None:
    """Give each entry its line, since an entry that is stale or has expired is reported by it."""
    entries = written.get(table)
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        if isinstance(entry, dict):
            entry["line"] = _nearest(lines, f"{table}[{index}]")


def _explained(problem: str, name: str, lines: Mapping[str, int]) -> str:
    """Msgspec's words with the key's own name and line in front."""
    found = _AT.search(problem)
    path = found.group("path") if found else ""
    words = _AT.sub("", problem)
    if missing := _MISSING.fullmatch(words):
        key = missing.group("key")
        where = f"{_bare(path)}: " if path else ""
        return f"{name}:{_nearest(lines, path)}: {where}the key {key!r} is missing"
    return f"{name}:{_nearest(lines, path)}: {_bare(path)}: {words[0].lower()}{words[1:]}"


def _bare(path: str) -> str:
    return _INDEX.sub("", path)


def _check_models(models: tuple[Model, ...], name: str, lines: Mapping[str, int]) -> None:
    seen: set[str] = set()
    for index, model in enumerate(models):
        at = f"{name}:{_nearest(lines, f'model[{index}].id')}: model.id"
        if model.id == "auto":
            raise TargetError(f"{at}: auto is not a model but the choice of one: name a model of the account")
        if model.id in seen:
            raise TargetError(f"{at}: {model.id!r} stands there twice: remove one")
        seen.add(model.id)
        priced = model.input_usd_per_token is not None
        if priced != (model.output_usd_per_token is not None):
            raise TargetError(
                f"{at}: {model.id!r} has one of input_usd_per_token and output_usd_per_token: give both"
            )
        if model.cached_input_usd_per_token is not None and not priced:
            raise TargetError(
                f"{at}: {model.id!r} has a price for cached tokens only: give the others as well"
            )


def _check_balance(balance: Balance | None, at: str) -> None:
    if balance is None:
        return
    if (balance.url is None) == (balance.command is None):
        raise TargetError(f"{at}: give either url or command")
    if balance.command is not None and (balance.pointer or balance.headers):
        raise TargetError(f"{at}: a command prints a number: it has no pointer and no headers")


def _check_entries(entries: Iterable[Deviation | Waive], title: str, name: str, contract: Contract) -> None:
    """Every entry names a clause that a run judges, and no two say the same."""
    seen: dict[object, int] = {}
    for entry in entries:
        at = f"{name}:{entry.line}: {title}"
        if entry.clause not in contract:
            close = get_close_matches(entry.clause, contract.ids, n=1, cutoff=0.7)
            advice = f": did you mean {close[0]}?" if close else "; `chatproof clauses` lists them"
            raise TargetError(f"{at} the contract has no clause {entry.clause!r}{advice}")
        if contract[entry.clause].unchecked is not None:
            raise TargetError(f"{at} {entry.clause} is not judged by a run: remove the entry")
        match = entry.match if isinstance(entry, Deviation) else None
        if match is not None and (match.route, match.status, match.contains) == (None, None, None):
            raise TargetError(f"{at} match is empty: say what is known by route, status or contains")
        if (entry.clause, match) in seen:
            before = seen[entry.clause, match]
            raise TargetError(f"{at} for {entry.clause} stands already in line {before}: remove one")
        seen[entry.clause, match] = entry.line


def _one_line(problem: Exception) -> str:
    return " ".join(str(problem).split())
