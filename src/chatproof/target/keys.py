"""The target file as frozen values: each key, its type, its default. Knows no file and no environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

MONEY_PATTERN: Final = r"^[0-9]+(\.[0-9]+)?([eE]-?[0-9]{1,2})?$"
DAY_S: Final = 86_400

Text = Annotated[str, Meta(min_length=1)]
Count = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(gt=0, le=DAY_S)]
Milliseconds = Annotated[float, Meta(gt=0, le=DAY_S * 1000)]
Pointer = Annotated[str, Meta(pattern=r"^(/([^~/]|~[01])*)*$")]
Refusal = Annotated[str, Meta(pattern=r"^(4[0-9][0-9]|503)( [a-z][a-z0-9_]*)?$")]
ErrorCodeName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
ClauseId = Annotated[str, Meta(pattern=r"^[A-Z]{2,3}-[0-9]{2}$")]


class TargetError(ValueError):
    """The target cannot be used as it is given; the message is one line that says what to do."""


class Money(Decimal):
    """An amount, a price or a rate; written as a string, so that no binary float ever stands for it."""


class Share(Decimal):
    """A part of a whole, above 0 and at most 1; written as a number and kept exactly as written."""


def exactly(kind: type, written: object) -> Any:
    """Turn what the file says into `Money` or `Share`; a ValueError says how it is written."""
    if kind is Money:
        if isinstance(written, str) and re.fullmatch(MONEY_PATTERN, written):
            return Money(written)
        raise ValueError('Expected a non-negative decimal in quotes, such as "0.0030"')
    if kind is Share:
        if isinstance(written, (int, float)) and not isinstance(written, bool) and 0 < written <= 1:
            return Share(str(written))
        raise ValueError("Expected a number above 0 and at most 1, such as 0.7")
    raise NotImplementedError(kind)


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One table of the target file."""


class SecretTable(Table, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table whose values are secrets: it shows the names of what is set, never a value."""

    def __repr__(self) -> str:
        names = (name for name in self.__struct_fields__ if getattr(self, name))
        return f"{type(self).__name__}({', '.join(f'{name}=...' for name in names)})"

    def __rich_repr__(self) -> Any:
        return ((name, "...") for name in self.__struct_fields__ if getattr(self, name))


class Model(Table, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One model that the account may use, and what its tokens cost."""

    id: Text
    credits_per_litellm_usd: Money | None = None  # the markup: credits charged for one USD of LiteLLM cost
    litellm_model: Text | None = None  # its name in LiteLLM's price map
    input_usd_per_token: Money | None = None  # these prices win over the map
    output_usd_per_token: Money | None = None
    cached_input_usd_per_token: Money | None = None


class Balance(SecretTable, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the wallet's balance is read, in credits: a URL that answers JSON, or a command printing it."""

    url: Text | None = None
    pointer: Pointer = ""  # RFC 6901, into the answer; "" is the whole answer
    headers: Mapping[str, str] = {}
    command: Annotated[tuple[Text, ...], Meta(min_length=1)] | None = None


class Billing(Table, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the wallet is run with."""

    credits_per_usd_rate: Money | None = None
    balance: Balance | None = None


class Provoke(SecretTable, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Keys and a model that make the deployment fail on purpose."""

    rate_limited_key: Text | None = None
    empty_wallet_key: Text | None = None
    revoked_key: Text | None = None
    flaky_key: Text | None = None  # 429 on the first use of an idempotency key, success on the next
    unavailable_model: Text | None = None


class Incremental(Table, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """When a stream counts as sent token by token (STR-09)."""

    moments: Annotated[int, Meta(ge=2)] = 4
    apart_ms: Milliseconds = 2
    largest_share: Share = Share("0.7")


class Settings(Table, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which reading of the contract's open questions this deployment goes by."""

    invalid_request_status: Annotated[tuple[Literal[400, 422], ...], Meta(min_length=1)] = (400,)
    unknown_model: Annotated[tuple[Refusal, ...], Meta(min_length=1)] = ("400 unsupported_model",)
    sampling_exclusivity: Literal["reject", "accept"] = "reject"
    model_unavailable_retryable: bool = True
    chunk_envelope: Literal["openai", "bare"] = "openai"
    incremental: Incremental = Incremental()
    extra_error_codes: tuple[ErrorCodeName, ...] = ()

    @property
    def unknown_model_refusals(self) -> tuple[tuple[int, str | None], ...]:
        """`unknown_model` as (status, code); a code of None is any code."""
        return tuple((int(text[:3]), text[4:] or None) for text in self.unknown_model)


class Match(Table, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which findings a deviation covers: those that agree with every key given."""

    route: Annotated[str, Meta(pattern="^/")] | None = None  # below the base URL
    status: Annotated[int, Meta(ge=100, le=599)] | None = None
    contains: Text | None = None  # in the finding's text


class Deviation(Table, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A finding that is known: still looked for, reported as known until its date."""

    clause: ClauseId
    match: Match
    reason: Text
    until: date
    ticket: Text | None = None
    line: int = 0  # where it stands in the target file


class Waive(Table, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A clause that may stay untestable until a date; it excuses nothing else."""

    clause: ClauseId
    reason: Text
    until: date
    line: int = 0


class Budget(Table, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Hard stops; what was not reached is not observed, never a pass."""

    credits: Money | None = None  # None: no limit
    check_requests: Count = 2000
    load_requests: Count = 100_000


class Slo(Table, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What load and gate hold the deployment to; None is not judged."""

    ttft_p95_ms: Milliseconds | None = None
    itl_p99_ms: Milliseconds | None = None
    e2e_p95_s: Seconds | None = None
    complete_fraction: Share | None = None


class TargetFile(SecretTable, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A whole target file as written: `${NAME}` still stands where it stood."""

    base_url: str
    api_key: str = "${BEATRA_API_KEY}"
    headers: Mapping[str, str] = {}
    ca_file: Text | None = None
    timeout_s: Seconds = 60
    stall_s: Seconds = 20
    model: tuple[Model, ...] = ()
    billing: Billing = Billing()
    provoke: Provoke = Provoke()
    settings: Settings = Settings()
    deviation: tuple[Deviation, ...] = ()
    waive: tuple[Waive, ...] = ()
    budget: Budget = Budget()
    slo: Slo = Slo()


# The tables by their path in the file: an unknown key is told which of these was meant.
TABLES: Final[Mapping[str, type[Table]]] = {
    "": TargetFile,
    "model": Model,
    "billing": Billing,
    "billing.balance": Balance,
    "provoke": Provoke,
    "settings": Settings,
    "settings.incremental": Incremental,
    "deviation": Deviation,
    "deviation.match": Match,
    "waive": Waive,
    "budget": Budget,
    "slo": Slo,
}
NOT_WRITTEN: Final = frozenset({("deviation", "line"), ("waive", "line")})


def keys_of(path: str) -> tuple[str, ...]:
    """The keys that may be written in one table, in order."""
    return tuple(key for key in TABLES[path].__struct_fields__ if (path, key) not in NOT_WRITTEN)


class Prerequisite(Table, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A key of the target file without which some clauses cannot be tested, and the line that gives it."""

    key: str  # its path, such as provoke.revoked_key
    clauses: tuple[str, ...]
    line: str
    instead: str | None = None  # another key that serves as well


PREREQUISITES: Final = (
    Prerequisite(
        key="model.credits_per_litellm_usd",
        clauses=("BIL-04", "BIL-05"),
        line='credits_per_litellm_usd = "1500"',
    ),
    Prerequisite(
        key="model.litellm_model",
        clauses=("BIL-04",),
        line='litellm_model = "novita/minimax/minimax-m2.7"',
        instead="model.input_usd_per_token",
    ),
    Prerequisite(
        key="billing.credits_per_usd_rate", clauses=("BIL-03",), line='credits_per_usd_rate = "1000"'
    ),
    Prerequisite(
        key="billing.balance",
        clauses=("BIL-10",),
        line='balance = { url = "https://.../balance", pointer = "/balance" }',
    ),
    Prerequisite(key="provoke.revoked_key", clauses=("AUT-05",), line='revoked_key = "${REVOKED_KEY}"'),
    Prerequisite(
        key="provoke.rate_limited_key", clauses=("ERR-09",), line='rate_limited_key = "${LIMITED_KEY}"'
    ),
    Prerequisite(
        key="provoke.unavailable_model", clauses=("ERR-10",), line='unavailable_model = "down-model"'
    ),
    Prerequisite(
        key="provoke.empty_wallet_key", clauses=("ERR-11",), line='empty_wallet_key = "${EMPTY_KEY}"'
    ),
    Prerequisite(key="provoke.flaky_key", clauses=("IDM-05",), line='flaky_key = "${FLAKY_KEY}"'),
)
