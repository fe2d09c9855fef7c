"""What is wrong with a target is told in one line: the file, the line, the key and what to do."""
# ruff: noqa: E501 - a case is one line

from __future__ import annotations

from pathlib import Path

import pytest

from chatproof.target import Target, TargetError, load_target, parse_target

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


def parse(text: str, env: dict[str, str] | None = None) -> Target:
    """Read a target file's text as if it were `t.toml`."""
    return parse_target(text, name="t.toml", beside=Path("nowhere"), env=ENV if env is None else env)


def refusal(text: str, env: dict[str, str] | None = None) -> str:
    """The one line with which a target file is refused."""
    with pytest.raises(TargetError) as caught:
        parse(text, env)
    return str(caught.value)


MISTAKES = [
    ('base_ur = "x"\n', "t.toml:1: unknown key 'base_ur': did you mean 'base_url'?"),
    (STAGING + "\n[setings]\n", "t.toml:3: unknown key 'setings': did you mean 'settings'?"),
    (STAGING + "[settings]\nchunk_envelop = 1\n", "t.toml:3: unknown key 'chunk_envelop' in [settings]: did you mean 'chunk_envelope'?"),
    (STAGING + 'credits_per_usd_rate = "1"\n', "t.toml:2: unknown key 'credits_per_usd_rate': it belongs in [billing]"),
    (STAGING + "[[waive]]\nline = 3\n", "t.toml:3: unknown key 'line' in [waive]: known are clause, reason, until"),
    (STAGING + '[[model]]\nid = "a"\n[[model]]\nid = "b"\nprice = 1\n', "t.toml:6: unknown key 'price' in [model]: known are id, credits_per_litellm_usd, litellm_model, input_usd_per_token, output_usd_per_token, cached_input_usd_per_token"),
    (STAGING + '[billing]\nbalance = { urll = "x" }\n', "t.toml:3: unknown key 'urll' in [billing.balance]: did you mean 'url'?"),
    ("", "t.toml:1: the key 'base_url' is missing"),
    (STAGING + "[[model]]\n", "t.toml:2: model: the key 'id' is missing"),
    (STAGING + "timeout_s = 'long'\n", "t.toml:2: timeout_s: expected `float`, got `str`"),
    (STAGING + "timeout_s = 0\n", "t.toml:2: timeout_s: expected `float` > 0.0"),
    (STAGING + "stall_s = inf\n", "t.toml:2: stall_s: expected `float` <= 86400.0"),
    (STAGING + "stall_s = nan\n", "t.toml:2: stall_s: expected `float` > 0.0"),
    (STAGING + "[budget]\ncredits = 50\n", 't.toml:3: budget.credits: expected a non-negative decimal in quotes, such as "0.0030"'),
    (STAGING + "[budget]\ncredits = 0.1\n", 't.toml:3: budget.credits: expected a non-negative decimal in quotes, such as "0.0030"'),
    (STAGING + '[budget]\ncredits = "-1"\n', 't.toml:3: budget.credits: expected a non-negative decimal in quotes, such as "0.0030"'),
    (STAGING + '[budget]\ncredits = "NaN"\n', 't.toml:3: budget.credits: expected a non-negative decimal in quotes, such as "0.0030"'),
    (STAGING + "[budget]\ncheck_requests = 0\n", "t.toml:3: budget.check_requests: expected `int` >= 1"),
    (STAGING + "[slo]\ncomplete_fraction = 99.9\n", "t.toml:3: slo.complete_fraction: expected a number above 0 and at most 1, such as 0.7"),
    (STAGING + '[settings]\nsampling_exclusivity = "maybe"\n', "t.toml:3: settings.sampling_exclusivity: invalid enum value 'maybe'"),
    (STAGING + "[settings]\ninvalid_request_status = [401]\n", "t.toml:3: settings.invalid_request_status: invalid enum value 401"),
    (STAGING + "[settings]\ninvalid_request_status = []\n", "t.toml:3: settings.invalid_request_status: expected `array` of length >= 1"),
    (STAGING + '[settings]\nunknown_model = ["200 fine"]\n', "t.toml:3: settings.unknown_model: expected `str` matching regex '^(4[0-9][0-9]|503)( [a-z][a-z0-9_]*)?$'"),
    (STAGING + '[[model]]\nid = "auto"\n', "t.toml:3: model.id: auto is not a model but the choice of one: name a model of the account"),
    (STAGING + '[[model]]\nid = "a"\n[[model]]\nid = "a"\n', "t.toml:5: model.id: 'a' stands there twice: remove one"),
    (STAGING + '[[model]]\nid = "a"\ninput_usd_per_token = "1"\n', "t.toml:3: model.id: 'a' has one of input_usd_per_token and output_usd_per_token: give both"),
    (STAGING + '[[model]]\nid = "a"\ncached_input_usd_per_token = "1"\n', "t.toml:3: model.id: 'a' has a price for cached tokens only: give the others as well"),
    (STAGING + "[billing]\nbalance = {}\n", "t.toml:3: billing.balance: give either url or command"),
    (STAGING + '[billing]\nbalance = { url = "https://a.example", command = ["b"] }\n', "t.toml:3: billing.balance: give either url or command"),
    (STAGING + '[billing]\nbalance = { command = ["b"], pointer = "/a" }\n', "t.toml:3: billing.balance: a command prints a number: it has no pointer and no headers"),
    (STAGING + '[billing]\nbalance = { url = "ftp://a.example" }\n', "t.toml:3: billing.balance.url must begin with https:// or http://"),
    (STAGING + "headers = { 'a b' = 'c' }\n", "t.toml:2: headers: 'a b' is not a header name: letters, digits and dashes only"),
    (STAGING + "headers = { Authorization = '${GATE_TOKEN}' }\n", "t.toml:2: headers: 'Authorization' is set by chatproof itself: remove it; the key goes into api_key"),
    (STAGING + "headers = { X-Request-ID = 'a' }\n", "t.toml:2: headers: 'X-Request-ID' is set by chatproof itself: remove it"),
    (STAGING + "headers = { X-A = 'a', x-a = 'b' }\n", "t.toml:2: headers: 'x-a' stands there twice: remove one"),
    (STAGING + 'headers = { X-A = "a\\nb" }\n', "t.toml:2: headers: 'X-A' has a character in it that cannot stand in a header, or white space around it"),
    (STAGING + "headers = { X-A = '${NOPE}' }\n", "t.toml:2: headers: 'X-A': the variable NOPE is not set: export it, or remove the line"),
    (STAGING + "headers = { X-A = '${}' }\n", "t.toml:2: headers: 'X-A': write a variable as \"${NAME}\""),
    (STAGING + "headers = { X-Api-Key = 'abc' }\n", "t.toml:2: headers: 'X-Api-Key' looks like a credential: put it into a variable and write \"${NAME}\" here"),
    (STAGING + "api_key = 'sk-literal'\n", 't.toml:2: api_key is written out: put it into a variable of the environment and write "${NAME}" here'),
    (STAGING + "api_key = '$BEATRA_API_KEY'\n", 't.toml:2: api_key: write the variable as "${NAME}" and nothing beside it'),
    (STAGING + "api_key = '${NOPE}'\n", "t.toml:2: api_key: the variable NOPE is not set: export it, or remove the line"),
    (STAGING + "api_key = '${BLANK}'\n", "t.toml:2: api_key: the variable BLANK is set but empty: give it its value"),
    (STAGING + "api_key = '${BROKEN}'\n", "t.toml:2: api_key: the variable BROKEN begins or ends with white space (a line break?): remove it"),
    (STAGING + "api_key = ''\n", "t.toml:2: api_key is empty: set it to a key of the account"),
    (STAGING + "[provoke]\nflaky_key = '${NOPE}'\n", "t.toml:3: provoke.flaky_key: the variable NOPE is not set: export it, or remove the line"),
    (STAGING + "ca_file = 'ca.pem'\n", "t.toml:2: ca_file: 'ca.pem' cannot be read; it is looked for beside the target file"),
    ('base_url = "${URL}/v1"\n', "t.toml:1: base_url: ${NAME} is read in keys and header values only; write the address itself"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), MISTAKES)
def test_a_mistake_is_told_in_one_line_with_its_line_number(text: str, message: str) -> None:
    """Each mistake in a target file is one line that names the file, the line, the key and what to do."""
    assert refusal(text) == message


def test_text_that_is_not_toml_is_told_with_its_place() -> None:
    """The parser's own words say where the text stops being TOML."""
    assert refusal("base_url = \n").startswith("t.toml: not valid TOML: Invalid value (at line 1")


BAD_URLS = [
    ("", "--base-url is empty: give the address of the deployment, such as https://staging.example/v1"),
    (" \t", "--base-url is empty: give the address of the deployment, such as https://staging.example/v1"),
    ("staging.example/v1", "--base-url must begin with https:// or http://"),
    ("ftp://staging.example/v1", "--base-url must begin with https:// or http://"),
    ("https:///v1", "--base-url names no host that can be reached: write https://host/v1"),
    ("https://staging.example:0/v1", "--base-url names no host that can be reached: write https://host/v1"),
    ("https://staging.example:99999/v1", "--base-url is not a URL: its port is not a number from 1 to 65535"),
    ("https://[::1/v1", "--base-url is not a URL: its host cannot be read"),
    ("https://staging.example", "--base-url must end in /v1: try https://staging.example/v1"),
    ("https://staging.example/api/", "--base-url must end in /v1: try https://staging.example/api/v1"),
    ("https://staging.example/v1/chat/completions", "--base-url must end in /v1: try https://staging.example/v1"),
    ("https://staging.example/v2", "--base-url must end in /v1: try https://staging.example/v2/v1"),
    (" https://staging.example/v1", "--base-url has white space or control characters in it: remove them"),
    ("https://staging.example/v1\n", "--base-url has white space or control characters in it: remove them"),
    ("https://me:secret@staging.example/v1", "--base-url has a user or password in it: remove that; the key goes into BEATRA_API_KEY"),
    ("https://staging.example/v1?key=secret", "--base-url has a query in it: remove everything from the question mark on"),
    ("https://staging.example/v1?", "--base-url has a query in it: remove everything from the question mark on"),
    ("https://staging.example/v1#secret", "--base-url has a fragment in it: remove everything from the # on"),
    ("${BEATRA_BASE_URL}", "--base-url: ${NAME} is read in keys and header values only; write the address itself"),
]  # fmt: skip


@pytest.mark.parametrize(("url", "message"), BAD_URLS)
def test_a_base_url_that_cannot_be_used_is_refused_without_repeating_secrets(url: str, message: str) -> None:
    """Each way a base URL can be wrong is one line that says what to do, with no secret part of the URL in it."""
    with pytest.raises(TargetError) as caught:
        load_target(None, url, ENV)

    assert str(caught.value) == message
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ({"BEATRA_BASE_URL": "", "BEATRA_API_KEY": "k"}, "BEATRA_BASE_URL is empty: give the address of the deployment, such as https://staging.example/v1"),
        ({"BEATRA_BASE_URL": "  "}, "BEATRA_BASE_URL is empty: give the address of the deployment, such as https://staging.example/v1"),
        ({"BEATRA_API_KEY": "k"}, "BEATRA_API_KEY is set but BEATRA_BASE_URL is not: set both, or unset the key"),
        ({"BEATRA_API_KEY": ""}, "BEATRA_API_KEY is set but BEATRA_BASE_URL is not: set both, or unset the key"),
        ({"BEATRA_BASE_URL": "https://a.example/v1"}, "BEATRA_BASE_URL names a deployment but there is no key: export BEATRA_API_KEY"),
        ({"BEATRA_BASE_URL": "https://a.example/v1", "BEATRA_API_KEY": ""}, "BEATRA_API_KEY is empty: set it to a key of the account"),
        ({"BEATRA_BASE_URL": "https://a.example/v1", "BEATRA_API_KEY": "k\n"}, "BEATRA_API_KEY begins or ends with white space (a line break?): remove it"),
        ({"BEATRA_BASE_URL": "https://a.example/v1", "BEATRA_API_KEY": "k k"}, "BEATRA_API_KEY has a character in it that cannot stand in a header: copy the key again"),
        ({"BEATRA_BASE_URL": "https://a.example/v1", "BEATRA_API_KEY": "clé"}, "BEATRA_API_KEY has a character in it that cannot stand in a header: copy the key again"),
        ({"BEATRA_BASE_URL": "https://a.example/v1", "BEATRA_API_KEY": "k", "BEATRA_MODEL": ""}, "BEATRA_MODEL is set but empty: name a model, or unset it"),
    ],
)  # fmt: skip
def test_an_environment_that_is_half_set_is_refused(env: dict[str, str], message: str) -> None:
    """A secret that did not arrive is a usage error, never a run against the reference."""
    with pytest.raises(TargetError) as caught:
        load_target(None, None, env)

    assert str(caught.value) == message


def test_a_file_that_cannot_be_read_is_told_in_one_line(tmp_path: Path) -> None:
    """Missing files, folders and other encodings are refused with the reason."""
    latin = tmp_path / "latin.toml"
    latin.write_bytes(b'base_url = "\xe9"\n')
    cases = {
        tmp_path
        / "none.toml": "cannot be read: no such file or directory; `chatproof init` writes a new one",
        tmp_path: "cannot be read: is a directory; `chatproof init` writes a new one",
        latin: "is not UTF-8 text: save it as UTF-8",
    }
    for file, reason in cases.items():
        with pytest.raises(TargetError) as caught:
            load_target(file, None, ENV)

        assert str(caught.value) == f"{file}: {reason}"


def test_no_secret_is_in_an_error() -> None:
    """A refusal repeats no key, whether it came from the file or from the environment."""
    texts = [
        STAGING + "api_key = 'sk-literal-9999'\n",
        STAGING + "api_key = '${BROKEN}'\n",
        STAGING + "[provoke]\nflaky_key = 'sk-literal-9999'\n",
        STAGING + "headers = { X-Token = 'sk-literal-9999' }\n",
        STAGING + 'headers = { X-Token = "sk-literal-9999\\n${GATE_TOKEN}" }\n',
        "api_key = 'sk-literal-9999'\n",
    ]
    messages = [refusal(text) for text in texts]

    assert [m for m in messages if "sk-" in m or "tok-" in m or "\n" in m] == []
