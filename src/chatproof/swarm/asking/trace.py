"""Arrivals that a file recorded: when each request started and how long prompt and answer were. Knows no clock.

Two kinds of file are read, told apart by their first character. CSV: the first line names the columns, `timestamp` is
in seconds, or a date and time. JSON lines: an object a line, `timestamp` is in milliseconds. The sizes are optional,
other columns and members are ignored, and the first request is the start.
"""

from __future__ import annotations

import csv
import hashlib
import itertools
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

MOST: Final = 500_000  # requests in memory, 100 bytes each
_SECOND: Final = 1_000_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

# Names as public traces write them, in lower case and without signs: Azure's, BurstGPT's, Mooncake's.
_START: Final = ("timestamp",)
_PROMPT: Final = ("prompttokens", "contexttokens", "requesttokens", "inputlength", "inputtokens")
_ANSWER: Final = ("maxtokens", "generatedtokens", "responsetokens", "outputlength", "outputtokens")

_Cells = tuple[object, object, object]  # start, prompt, answer as the file has them; None where it has none
_Request = tuple[int, int | None, int | None]  # start in nanoseconds from any zero, and the sizes


class TraceError(ValueError):
    """The trace cannot be played; the message is one line that names file and line and says what to do."""


class Arrival(NamedTuple):
    """One request of a trace."""

    at_ns: int  # from the start of the run, speed taken into account
    prompt_tokens: int
    max_tokens: int


@dataclass(frozen=True, slots=True)
class Sizes:
    """What a request asks for where the trace does not say, and the longest that it may ask for."""

    prompt_tokens: int
    max_tokens: int
    prompt_cap: int
    answer_cap: int


@dataclass(frozen=True, slots=True)
class Trace:
    """A trace as it is to be played."""

    name: str
    digest: str  # SHA-256 of the whole file
    speed: float
    arrivals: tuple[Arrival, ...]
    until_s: float | None  # only the requests before this moment are played; None: all of them
    sizes: Sizes
    cut_prompts: int  # longer than the cap
    cut_answers: int
    raised: int  # sizes of 0, asked as 1

    @property
    def seconds(self) -> float:
        """How long it takes: to the moment at which it is cut off, else to its last request; never 0."""
        return self.until_s if self.until_s is not None else max(self.arrivals[-1].at_ns / _SECOND, 0.001)

    def until(self, seconds: float) -> int:
        """How many requests have been due by then."""
        return sum(arrival.at_ns <= seconds * _SECOND for arrival in self.arrivals)

    @property
    def said(self) -> str:
        """The trace in one line for a person."""
        parts = [f"trace {self.name}: {len(self.arrivals):,} requests in {lasting(self.seconds)}"]
        parts.append(
            "as fast as recorded" if self.speed == 1 else f"{self.speed:g} times as fast as recorded"
        )
        if self.until_s is not None:
            parts.append("the rest lies after the run's time and is left out")
        if self.cut_prompts:
            parts.append(
                f"{self.cut_prompts:,} longer prompts are cut to --prompt-cap {self.sizes.prompt_cap}"
            )
        if self.cut_answers:
            parts.append(
                f"{self.cut_answers:,} longer answers are cut to --answer-cap {self.sizes.answer_cap}"
            )
        if self.raised:
            parts.append(f"{self.raised:,} sizes of 0 are asked as 1")
        return "; ".join(parts)

    @property
    def shown(self) -> dict[str, Any]:
        """The trace in a report: everything but the arrivals."""
        return {
            "file": self.name,
            "digest": self.digest,
            "speed": self.speed,
            "requests": len(self.arrivals),
            "seconds": self.seconds,
            "until_s": self.until_s,
            "cut_prompts": self.cut_prompts,
            "cut_answers": self.cut_answers,
            "raised": self.raised,
        }


def lasting(seconds: float) -> str:
    """A time for a person."""
    return f"{seconds:,.0f} s" if seconds >= 1000 else f"{seconds:.4g} s"


def share(arrivals: Sequence[Arrival], worker: int, workers: int) -> Sequence[Arrival]:
    """One worker's arrivals: every `workers`-th one."""
    return arrivals[worker::workers]


def read_trace(path: Path, *, speed: float, seconds: float | None, sizes: Sizes) -> Trace:
    """The trace of a file, played `speed` times as fast, up to `seconds` of the run. TraceError where it cannot be."""
    try:
        with path.open("rb") as file:
            return _read(file, path.name, speed, seconds, sizes)
    except OSError as error:
        raise TraceError(f"--trace {path}: cannot be read: {error.strerror}") from None


def _read(file: IO[bytes], name: str, speed: float, seconds: float | None, sizes: Sizes) -> Trace:
    digest = hashlib.sha256()
    arrivals: list[Arrival] = []
    first = last = 0
    cut_prompts = cut_answers = raised = 0
    over = False
    for number, (start, prompt, answer) in _requests(_lines(file, name, digest.update), name):
        if not arrivals:
            first = last = start
        if start < last:
            raise TraceError(
                f"{name}:{number}: starts before the line above: put the lines in order of start"
            )
        last = start
        at_ns = round((start - first) / speed)
        if seconds is not None and at_ns > seconds * _SECOND:
            over = True
            break
        if len(arrivals) == MOST:
            raise TraceError(f"{name}: more than {MOST:,} requests: play its beginning, with a --duration")
        asked = (
            sizes.prompt_tokens if prompt is None else prompt,
            sizes.max_tokens if answer is None else answer,
        )
        cut_prompts += asked[0] > sizes.prompt_cap
        cut_answers += asked[1] > sizes.answer_cap
        raised += asked.count(0)
        arrivals.append(
            Arrival(at_ns, max(1, min(asked[0], sizes.prompt_cap)), max(1, min(asked[1], sizes.answer_cap)))
        )
    if not arrivals:
        raise TraceError(f"--trace {name}: holds no request")
    while block := file.read(1 << 20):
        digest.update(block)
    return Trace(
        name=name,
        digest=digest.hexdigest(),
        speed=speed,
        arrivals=tuple(arrivals),
        until_s=seconds if over else None,
        sizes=sizes,
        cut_prompts=cut_prompts,
        cut_answers=cut_answers,
        raised=raised,
    )


def _lines(file: IO[bytes], name: str, note: Callable[[bytes], None]) -> Iterator[str]:
    for number, line in enumerate(file, 1):
        note(line)
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            raise TraceError(f"{name}:{number}: no text: a trace is CSV or JSON lines, not packed") from None


def _requests(lines: Iterator[str], name: str) -> Iterator[tuple[int, _Request]]:
    """The requests with the numbers of their lines."""
    top = next(lines, "")
    is_json = top.lstrip().startswith("{")
    unit = _SECOND // 1000 if is_json else _SECOND
    rows = (_of_json if is_json else _of_csv)(itertools.chain([top], lines), name)
    for number, (start, prompt, answer) in rows:
        try:
            yield number, (_instant(start, unit), _size(prompt, "prompt"), _size(answer, "answer"))
        except ValueError as problem:
            raise TraceError(f"{name}:{number}: {problem}") from None


def _of_csv(lines: Iterator[str], name: str) -> Iterator[tuple[int, _Cells]]:
    reader = csv.reader(lines)
    try:
        titles = [_plain(title) for title in next(reader, [])]
        if titles and not set(titles) & set(_START):
            raise TraceError(
                f"{name}:1: no column timestamp: the first line names the columns, "
                "such as timestamp,prompt_tokens,max_tokens"
            )
        for row in reader:
            if row:
                yield reader.line_num, _cells(dict(zip(titles, row, strict=False)))
    except csv.Error as problem:
        raise TraceError(f"{name}:{reader.line_num}: {problem}") from None


def _of_json(lines: Iterator[str], name: str) -> Iterator[tuple[int, _Cells]]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            found = json.loads(line, parse_float=Decimal)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, Mapping):
            raise TraceError(f"{name}:{number}: is no JSON object: each line must be one, as the first is")
        yield number, _cells({_plain(key): value for key, value in found.items()})


def _cells(row: Mapping[str, object]) -> _Cells:
    return _value(row, _START), _value(row, _PROMPT), _value(row, _ANSWER)


def _value(row: Mapping[str, object], names: Sequence[str]) -> object:
    return next((row[name] for name in names if name in row), None)


def _instant(value: object, unit: int) -> int:
    """Nanoseconds of a number of units, or of a date and time; ValueError where it is neither."""
    if value is None or value == "":
        raise ValueError("no timestamp: it says when the request started")
    text = str(value).strip()
    try:
        number = Decimal(text)
        if number.is_finite() and abs(number) < 10**15:
            return int(number * unit)
    except InvalidOperation:
        pass
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        known = "a number of seconds" if unit == _SECOND else "a number of milliseconds"
        raise ValueError(f"timestamp {text[:40]!r} is neither {known} nor a date and time") from None
    aware = at if at.tzinfo else at.replace(tzinfo=UTC)
    return (aware - _EPOCH) // timedelta(microseconds=1) * 1000


def _size(value: object, what: str) -> int | None:
    """A count of tokens, None where none is given; ValueError where it is no count."""
    if value is None or value == "":
        return None
    text = str(value).strip()
    if isinstance(value, bool) or not re.fullmatch(r"\d{1,12}", text, re.ASCII):
        raise ValueError(f"the {what}'s length {text[:40]!r} is no whole number of tokens")
    return int(text)


def _plain(title: object) -> str:
    return re.sub(r"[^a-z]", "", str(title).lower())
