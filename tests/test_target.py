"""The target: every key, every refusal in one clear line, and no secret where it could be read."""

from __future__ import annotations

import json
import ssl
from datetime import date
from decimal import Decimal
from pathlib import Path

import certifi
import pytest

from chatproof.target import (
    Budget,
    Deviation,
    Incremental,
    Match,
    Model,
    Money,
    Settings,
    Share,
    Slo,
    Target,
    TargetError,
    Waive,
    folder,
    load_target,
    parse_target,
    read_contract,
    starter_text,
)
from chatproof.target.keys import PREREQUISITES, TABLES, keys_of

ENV = {
    "BEATRA_API_KEY": "sk-main-0000",
    "LIMITED_KEY": "sk-limited-1111",
    "EMPTY_KEY": "sk-empty-2222",
    "REVOKED_KEY": "sk-revoked-3333",
    "FLAKY_KEY": "sk-flaky-4444",
    "GATE_TOKEN": "tok-gate-5555",
    "BLANK": "  ",
    "BROKEN": "sk-new\n",
}
STAGING = 'base_url = "https://staging.example/v1"\n'
LOCAL = 'base_url = "http://127.0.0.1:8000/v1"\napi_key = "local"\n'

FULL = """\
base_url = "https://staging.example/v1"
api_key  = "${BEATRA_API_KEY}"
headers  = { "X-Env" = "staging", "X-Gate-Token" = "${GATE_TOKEN}" }
timeout_s = 90
stall_s = 12.5

[[model]]
id = "MiniMax-M2.7"
credits_per_litellm_usd = "1500"
litellm_model = "novita/minimax/minimax-m2.7"

[[model]]
id = "second"
input_usd_per_token = "0.0000003"
output_usd_per_token = "0.0000012"
cached_input_usd_per_token = "6e-8"

[billing]
credits_per_usd_rate = "1000"
balance = { url = "https://staging.example/admin/balance?of=me", pointer = "/balance", headers = { "Authorization" = "Bearer ${GATE_TOKEN}" } }

[provoke]
rate_limited_key = "${LIMITED_KEY}"
empty_wallet_key = "${EMPTY_KEY}"
revoked_key = "${REVOKED_KEY}"
flaky_key = "${FLAKY_KEY}"
unavailable_model = "down-model"

[settings]
invalid_request_status = [400, 422]
unknown_model = ["400 unsupported_model", "404"]
sampling_exclusivity = "accept"
model_unavailable_retryable = false
chunk_envelope = "bare"
incremental = { moments = 5, apart_ms = 3, largest_share = 0.6 }
extra_error_codes = ["quota_exceeded"]

[[deviation]]
clause = "ERR-07"
match = { route = "/chat/completions", status = 400, contains = "messages" }
reason = "field pointers come with the new validator"
ticket = "GW-1432"
until = 2027-01-31

[[waive]]
clause = "ERR-11"
reason = "no empty-wallet account in staging"
until = 2027-06-30

[budget]
credits = "50"
check_requests = 2000
load_requests = 100000

[slo]
ttft_p95_ms = 800
itl_p99_ms = 120
e2e_p95_s = 12
complete_fraction = 0.999
"""  # noqa: E501 - one inline table is one line


def parse(text: str, env: dict[str, str] | None = None) -> Target:
    """Read a target file's text as if it were `t.toml`."""
    return parse_target(text, name="t.toml", beside=Path("nowhere"), env=ENV if env is None else env)


def refusal(text: str, env: dict[str, str] | None = None) -> str:
    """The one line with which a target file is refused."""
    with pytest.raises(TargetError) as caught:
        parse(text, env)
    return str(caught.value)


def test_every_key_of_a_full_file_arrives() -> None:
    """Each public key is read, with its type, into the target."""
    target = parse(FULL)
    balance = target.billing.balance

    assert target.base_url == "https://staging.example/v1"
    assert target.api_key == "sk-main-0000"
    assert target.headers == {"X-Env": "staging", "X-Gate-Token": "tok-gate-5555"}
    assert (target.timeout_s, target.stall_s) == (90, 12.5)
    assert target.models == (
        Model(
            id="MiniMax-M2.7",
            credits_per_litellm_usd=Money("1500"),
            litellm_model="novita/minimax/minimax-m2.7",
        ),
        Model(
            id="second",
            input_usd_per_token=Money("0.0000003"),
            output_usd_per_token=Money("0.0000012"),
            cached_input_usd_per_token=Money("6e-8"),
        ),
    )
    assert target.billing.credits_per_usd_rate == Decimal("1000")
    assert balance is not None
    assert (balance.url, balance.pointer, balance.command) == (
        "https://staging.example/admin/balance?of=me",
        "/balance",
        None,
    )
    assert balance.headers == {"Authorization": "Bearer tok-gate-5555"}
    assert target.provoke.rate_limited_key == "sk-limited-1111"
    assert target.provoke.empty_wallet_key == "sk-empty-2222"
    assert target.provoke.revoked_key == "sk-revoked-3333"
    assert target.provoke.flaky_key == "sk-flaky-4444"
    assert target.provoke.unavailable_model == "down-model"
    assert target.settings == Settings(
        invalid_request_status=(400, 422),
        unknown_model=("400 unsupported_model", "404"),
        sampling_exclusivity="accept",
        model_unavailable_retryable=False,
        chunk_envelope="bare",
        incremental=Incremental(moments=5, apart_ms=3, largest_share=Share("0.6")),
        extra_error_codes=("quota_exceeded",),
    )
    assert target.deviations == (
        Deviation(
            clause="ERR-07",
            match=Match(route="/chat/completions", status=400, contains="messages"),
            reason="field pointers come with the new validator",
            ticket="GW-1432",
            until=date(2027, 1, 31),
            line=38,
        ),
    )
    assert target.waives == (
        Waive(clause="ERR-11", reason="no empty-wallet account in staging", until=date(2027, 6, 30), line=45),
    )
    assert target.budget == Budget(credits=Money("50"), check_requests=2000, load_requests=100000)
    assert target.slo == Slo(ttft_p95_ms=800, itl_p99_ms=120, e2e_p95_s=12, complete_fraction=Share("0.999"))
    assert target.missing() == ()


def test_the_defaults_are_the_contracts() -> None:
    """A file that names only the address goes by the contract's defaults."""
    target = parse(STAGING)

    assert target.settings == Settings(
        invalid_request_status=(400,),
        unknown_model=("400 unsupported_model",),
        sampling_exclusivity="reject",
        model_unavailable_retryable=True,
        chunk_envelope="openai",
        incremental=Incremental(moments=4, apart_ms=2, largest_share=Share("0.7")),
        extra_error_codes=(),
    )
    assert target.settings.unknown_model_refusals == ((400, "unsupported_model"),)
    assert target.api_key == "sk-main-0000"
    assert (target.timeout_s, target.stall_s, target.models) == (60, 20, ())
    assert target.budget == Budget(credits=None, check_requests=2000, load_requests=100_000)


def test_an_unknown_model_may_be_refused_with_any_code() -> None:
    """A status alone in `unknown_model` stands for any code."""
    assert parse(FULL).settings.unknown_model_refusals == ((400, "unsupported_model"), (404, None))


def test_money_keeps_every_digit_and_shares_are_exact() -> None:
    """Prices and shares are the decimals that were written, not their nearest binary floats."""
    target = parse(FULL)

    assert str(target.models[1].input_usd_per_token) == "3E-7"
    assert target.models[1].input_usd_per_token == Decimal("0.0000003")
    assert target.settings.incremental.largest_share == Decimal("0.6")
    assert isinstance(target.billing.credits_per_usd_rate, Decimal)


URLS = [
    ("https://staging.example/v1", "https://staging.example/v1"),
    ("https://staging.example/v1/", "https://staging.example/v1"),
    ("http://127.0.0.1:8000/faults/no-done/v1", "http://127.0.0.1:8000/faults/no-done/v1"),
    ("http://[::1]:8000/v1", "http://[::1]:8000/v1"),
]


@pytest.mark.parametrize(("url", "expected"), URLS)
def test_a_base_url_is_taken_without_its_last_slash(url: str, expected: str) -> None:
    """Any http(s) address that ends in /v1 is a base URL."""
    target = load_target(None, url, ENV)

    assert target is not None
    assert target.base_url == expected


def test_nothing_named_is_no_target() -> None:
    """With no flag and no variable there is no target, and the caller takes the reference."""
    assert load_target(None, None, {}) is None
    assert load_target(None, None, {"BEATRA_MODEL": "m"}) is None


def test_the_file_wins_over_the_url_and_the_url_over_the_environment(tmp_path: Path) -> None:
    """Precedence: --target, --base-url, BEATRA_BASE_URL; each says where the target came from."""
    file = tmp_path / "t.toml"
    file.write_text(STAGING, encoding="utf-8")
    env = ENV | {"BEATRA_BASE_URL": "https://env.example/v1"}
    targets = [
        load_target(file, "https://flag.example/v1", env),
        load_target(None, "https://flag.example/v1", env),
        load_target(None, None, env),
    ]

    assert [(t.base_url, t.origin) for t in targets if t] == [
        ("https://staging.example/v1", str(file)),
        ("https://flag.example/v1", "--base-url"),
        ("https://env.example/v1", "BEATRA_BASE_URL"),
    ]


def test_the_environment_names_a_model() -> None:
    """BEATRA_MODEL is the model of a target that names none itself; a file's own models win."""
    env = ENV | {"BEATRA_MODEL": "m-1", "BEATRA_BASE_URL": "https://env.example/v1"}
    named = load_target(None, None, env)

    assert named is not None
    assert named.models == (Model(id="m-1"),)
    assert parse(STAGING, env).models == (Model(id="m-1"),)
    assert [model.id for model in parse(FULL, env).models] == ["MiniMax-M2.7", "second"]


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    """A file saved with a BOM is read like any other."""
    file = tmp_path / "t.toml"
    file.write_bytes(b"\xef\xbb\xbf" + STAGING.encode())
    target = load_target(file, None, ENV)

    assert target is not None
    assert target.base_url == "https://staging.example/v1"


def test_a_key_may_be_written_out_for_this_machine_only() -> None:
    """Literal keys and credential headers are taken for loopback, under any of its names."""
    for host in ("127.0.0.1:1", "127.8.9.1", "localhost:2", "api.localhost", "[::1]:3"):
        target = parse(
            f'base_url = "http://{host}/v1"\napi_key = "local"\nheaders = {{ X-Api-Key = "abc" }}\n'
        )
        assert (target.api_key, target.is_loopback) == ("local", True)

    for host in ("10.0.0.1", "localhost.example", "127.0.0.1.example"):
        assert "is written out" in refusal(f'base_url = "http://{host}/v1"\napi_key = "local"\n')


def test_secrets_are_listed_by_kind() -> None:
    """Every key, and the secret part of each header, is there to be redacted by its kind."""
    assert parse(FULL).secrets == {
        "api_key": "sk-main-0000",
        "rate_limited_key": "sk-limited-1111",
        "empty_wallet_key": "sk-empty-2222",
        "revoked_key": "sk-revoked-3333",
        "flaky_key": "sk-flaky-4444",
        "header_x-gate-token": "tok-gate-5555",
        "balance_header_authorization": "tok-gate-5555",
    }


def test_a_header_is_secret_by_its_name_or_by_a_long_value_of_the_environment() -> None:
    """Plain words from the environment are no secret; a long token is one under any name."""
    env = ENV | {"STAGE": "production", "LONG": "0123456789abcdef"}
    text = (
        STAGING
        + "headers = { X-Env = '${STAGE}', X-Pass = 'to ${LONG}', Cookie = 'a=${STAGE}; b=${LONG}' }\n"
    )

    assert parse(text, env).secrets == {
        "api_key": "sk-main-0000",
        "header_x-pass": "0123456789abcdef",
        "header_cookie": "a=production; b=0123456789abcdef",
    }


def test_no_secret_is_in_what_a_target_shows_of_itself() -> None:
    """repr, str and the description for reports hold no secret value, nor does a part that can be printed."""
    target = parse(FULL)
    shown = [
        repr(target),
        str(target),
        json.dumps(target.described()),
        repr(target.provoke),
        repr(target.billing),
    ]
    shown += [repr(list(target.__rich_repr__())), repr(list(target.provoke.__rich_repr__()))]
    values = set(target.secrets.values())

    assert [value for value in values if any(value in text for text in shown)] == []
    assert "rate_limited_key=..." in repr(target.provoke)


def test_the_hash_is_that_of_what_is_said_without_secrets() -> None:
    """Other keys, comments and lines leave the hash alone; any other change does not."""
    first = parse(FULL)
    again = parse("# moved\n\n" + FULL, ENV | {"BEATRA_API_KEY": "sk-other", "GATE_TOKEN": "tok-other"})
    other = parse(FULL.replace("timeout_s = 90", "timeout_s = 91"))

    assert len(first.hash) == 64
    assert first.hash == again.hash
    assert first.hash != other.hash


def test_models_can_be_put_in_later() -> None:
    """A target without models gets the ones that /models named; nothing else changes."""
    target = parse(STAGING)
    chosen = target.with_models([Model(id="listed")])

    assert target.models == ()
    assert chosen.models == (Model(id="listed"),)
    assert chosen.hash != target.hash
    assert chosen.with_models([]) == target


def test_a_ca_file_lies_beside_the_target_file(tmp_path: Path) -> None:
    """A PEM file is found relative to the target file; a file without a certificate is refused."""
    file = tmp_path / "t.toml"
    file.write_text(STAGING + "ca_file = 'ca.pem'\n", encoding="utf-8")
    (tmp_path / "ca.pem").write_text("no certificate\n", encoding="utf-8")
    with pytest.raises(TargetError, match=r"t\.toml:2: ca_file: 'ca\.pem' holds no certificate"):
        load_target(file, None, ENV)

    (tmp_path / "ca.pem").write_text(a_certificate(), encoding="utf-8")
    target = load_target(file, None, ENV)

    assert target is not None
    assert target.ca_file == tmp_path / "ca.pem"


def a_certificate() -> str:
    """Some authority's certificate, in PEM: the first one that this installation trusts."""
    context = ssl.create_default_context(cafile=certifi.where())
    return ssl.DER_cert_to_PEM_cert(context.get_ca_certs(binary_form=True)[0])


def test_what_is_missing_names_its_clauses_and_its_line() -> None:
    """Each prerequisite that the file does not give is listed with the clauses that stay untestable."""
    missing = {row.key: row.clauses for row in parse(STAGING).missing()}

    assert missing == {
        "model.credits_per_litellm_usd": ("BIL-04", "BIL-05"),
        "model.litellm_model": ("BIL-04",),
        "billing.credits_per_usd_rate": ("BIL-03",),
        "billing.balance": ("BIL-10",),
        "provoke.revoked_key": ("AUT-05",),
        "provoke.rate_limited_key": ("ERR-09",),
        "provoke.unavailable_model": ("ERR-10",),
        "provoke.empty_wallet_key": ("ERR-11",),
        "provoke.flaky_key": ("IDM-05",),
    }
    assert all(row.line.startswith(row.key.split(".")[1] + " = ") for row in PREREQUISITES)


def test_the_starter_file_is_valid_once_its_address_is_filled_in() -> None:
    """As written it asks for the address alone; filled in, it waives what it gives no means to test."""
    today = date(2026, 11, 22)
    empty = starter_text(today=today)
    target = parse(starter_text("https://staging.example/v1", today=today))

    assert refusal(empty) == (
        "t.toml:6: base_url is empty: give the address of the deployment, such as https://staging.example/v1"
    )
    assert target.base_url == "https://staging.example/v1"
    assert {w.clause for w in target.waives} == {clause for row in target.missing() for clause in row.clauses}
    assert {w.until for w in target.waives} == {date(2027, 2, 20)}


def test_everything_the_starter_file_comments_out_is_valid_too() -> None:
    """Uncommented, each line of the starter file is read, and every key of the tables stands in it."""
    text = starter_text("https://staging.example/v1", today=date(2026, 11, 22))
    lines = [line[2:] if line.startswith("# ") and is_toml(line[2:]) else line for line in text.splitlines()]
    lines = [line for line in lines if not line.startswith(("balance = { command", "ca_file"))]
    target = parse("\n".join(lines))
    written = {key for path in TABLES for key in keys_of(path) if f"{key} =" in text or f"[{key}]" in text}

    assert target.models[0].cached_input_usd_per_token == Decimal("0.00000006")
    assert target.slo.complete_fraction == Decimal("0.999")
    assert target.missing() == ()
    assert {key for path in TABLES for key in keys_of(path)} - written == set()


def is_toml(text: str) -> bool:
    """Whether a commented line is a key or a table rather than prose."""
    return text.startswith("[") or " = " in text


def test_our_own_folders_are_found() -> None:
    """The folders lie at the top of the checkout, or beside the installed module."""
    assert (folder("conformance") / "contract.toml").is_file()
    assert (folder("schemas") / "error.schema.json").is_file()
    assert folder("load").is_dir()
    assert "STR-02" in read_contract()


def test_a_description_shows_of_the_balance_only_where_it_comes_from() -> None:
    """Neither a command's arguments nor a URL's query, where a token may stand, is in a report."""
    command = parse(STAGING + '[billing]\nbalance = { command = ["./balance", "--token", "t-6666"] }\n')

    assert command.described()["billing"]["balance"] == "./balance"
    assert parse(FULL).described()["billing"]["balance"] == "https://staging.example/admin/balance"
    assert parse(STAGING).described()["billing"]["balance"] is None
    assert [sorted(entry) for entry in parse(FULL).described()["waive"]] == [["clause", "reason", "until"]]
