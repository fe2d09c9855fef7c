"""The commands as a person meets them: what they print, what they end with, and what they make of bad input."""

from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import trustme
from click.testing import CliRunner, Result

from chatproof import cli
from chatproof.answer import Answer
from chatproof.cli import main
from chatproof.preflight import hint
from chatproof.reference import Reference, embedded, target_text
from chatproof.reference.faults import FAULTS
from chatproof.target import read_contract
from chatproof.verdict import EXIT_MEANING, MEANING, Exit, Outcome
from tests.exchanges import error_answer, sync_answer
from tests.scripted import Heard, Said, scripted

KEY = "sk-night-shift"
GOOD = 'base_url = "http://127.0.0.1:1/v1"\napi_key = "sk-in-the-file"\n'
PAGE = Said(200, b"<!doctype html><title>Sign in</title>", {"Content-Type": "text/html"})


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, and no target in the environment."""
    for name in ("BEATRA_BASE_URL", "BEATRA_API_KEY", "BEATRA_MODEL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def reference() -> Iterator[Reference]:
    """One reference for the module."""
    with embedded() as running:
        yield running


def breaking(clause: str, outcome: Outcome) -> str:
    """The name of a fault that does this to a clause, and nothing else."""
    return next(f.name for f in FAULTS.values() if f.breaks == {clause: outcome} and not f.blinds)


def run(*words: str, env: Mapping[str, str] | None = None) -> Result:
    """A command, run in this process."""
    return CliRunner().invoke(main, words, env=dict(env or {}))


def one_line(result: Result) -> str:
    """What was said, where it is one line on stderr and nothing else."""
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1, result.stderr

    return result.stderr.strip()


# --- which deployment --------------------------------------------------------------------------------------------

WITH_KEY = {"BEATRA_API_KEY": KEY}
UNUSABLE: Mapping[str, tuple[tuple[str, ...], Mapping[str, str], str]] = {
    "no such target file": (
        ("--target", "nosuch.toml"),
        {},
        "nosuch.toml: cannot be read: no such file or directory; `chatproof init` writes a new one",
    ),
    "a folder as target file": (("--target", "."), {}, ".: cannot be read: is a directory"),
    "not TOML": (("--target", "words.toml"), {}, "words.toml: not valid TOML"),
    "not text": (("--target", "bytes.toml"), {}, "bytes.toml: is not UTF-8 text: save it as UTF-8"),
    "an unknown key": (
        ("--target", "unknown.toml"),
        {},
        "unknown.toml:2: unknown key 'api_kee': did you mean 'api_key'?",
    ),
    "a missing key": (
        ("--target", "missing.toml"),
        {},
        "missing.toml:1: api_key: the variable BEATRA_API_KEY is not set",
    ),
    "an entry twice": (
        ("--target", "twice.toml"),
        {},
        "twice.toml:7: [[waive]] for ERR-11 stands already in line 3: remove one",
    ),
    "an empty URL": ((), {"BEATRA_BASE_URL": ""}, "BEATRA_BASE_URL is empty: give the address"),
    "an empty URL with a key": ((), {"BEATRA_BASE_URL": " ", **WITH_KEY}, "BEATRA_BASE_URL is empty"),
    "a key without URL": (
        (),
        WITH_KEY,
        "BEATRA_API_KEY is set but BEATRA_BASE_URL is not: set both, or unset the key",
    ),
    "a URL without key": (
        ("--base-url", "http://127.0.0.1:1/v1"),
        {},
        "--base-url names a deployment but there is no key: export BEATRA_API_KEY",
    ),
    "an empty key": (
        ("--base-url", "http://127.0.0.1:1/v1"),
        {"BEATRA_API_KEY": ""},
        "BEATRA_API_KEY is empty",
    ),
    "a key with a line break": (
        ("--base-url", "http://127.0.0.1:1/v1"),
        {"BEATRA_API_KEY": f"{KEY}\n"},
        "BEATRA_API_KEY begins or ends with white space (a line break?): remove it",
    ),
    "an empty model": (
        ("--base-url", "http://127.0.0.1:1/v1"),
        {**WITH_KEY, "BEATRA_MODEL": ""},
        "BEATRA_MODEL is set but empty",
    ),
    "no /v1": (
        ("--base-url", "http://127.0.0.1:1"),
        WITH_KEY,
        "--base-url must end in /v1: try http://127.0.0.1:1/v1",
    ),
    "the whole route": (
        ("--base-url", "http://127.0.0.1:1/v1/chat/completions"),
        WITH_KEY,
        "--base-url must end in /v1: try http://127.0.0.1:1/v1",
    ),
    "no scheme": (("--base-url", "staging.example/v1"), WITH_KEY, "must begin with https:// or http://"),
    "a password": (("--base-url", f"http://me:{KEY}@127.0.0.1:1/v1"), WITH_KEY, "has a user or password in it"),
}  # fmt: skip


@pytest.fixture
def files(elsewhere: Path) -> None:
    """Target files, each wrong in its own way."""
    waive = '[[waive]]\nclause = "ERR-11"\nreason = "none here"\nuntil = 2030-01-01\n'
    (elsewhere / "words.toml").write_text("base_url: http://127.0.0.1:1/v1\n")
    (elsewhere / "bytes.toml").write_bytes(b'base_url = "\xff\xfe"\n')
    (elsewhere / "unknown.toml").write_text('base_url = "http://127.0.0.1:1/v1"\napi_kee = "sk-123456"\n')
    (elsewhere / "missing.toml").write_text('base_url = "http://127.0.0.1:1/v1"\n')
    (elsewhere / "twice.toml").write_text(GOOD + waive + waive)


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("more", [(), ("--dry-run",)], ids=["check", "dry run"])
@pytest.mark.parametrize("name", UNUSABLE)
def test_a_target_that_cannot_be_used_is_one_line_and_exit_2(name: str, more: tuple[str, ...]) -> None:
    """It says what to do, shows no traceback and no key, and writes nothing; nor does it run the reference instead."""
    words, env, said = UNUSABLE[name]
    before = sorted(Path().iterdir())
    result = run("check", *words, *more, "--report", "out", env=env)

    assert result.exit_code == Exit.USAGE
    assert said in one_line(result)
    assert KEY not in result.output
    assert sorted(Path().iterdir()) == before


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """A certificate authority that nobody knows."""
    return trustme.CA()


@pytest.fixture(scope="session")
def certificate(authority: trustme.CA) -> ssl.SSLContext:
    """A server's context with a certificate of that authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


def unanswered(base_url: str) -> str:
    """What is said of a deployment that gives no HTTP answer: one line, exit 3, nothing written."""
    result = run("check", "--base-url", base_url, "--report", "out", env=WITH_KEY)

    assert result.exit_code == Exit.INCONCLUSIVE
    assert not Path("out").exists()
    assert f"chatproof: {base_url} gives no HTTP answer: " in one_line(result)

    return one_line(result)


def test_nobody_listens() -> None:
    """An unreachable host is inconclusive: nothing is known of the deployment."""
    assert unanswered("http://127.0.0.1:1/v1").endswith("is it running, and is the port right?")


def test_no_such_host() -> None:
    """A name that cannot be looked up is told from a host that refuses."""
    assert unanswered("http://no-such-host.invalid/v1").endswith("is the host's name right?")


def test_https_to_a_plain_port() -> None:
    """The scheme is what to look at."""
    with scripted(lambda _: Said()) as server:
        said = unanswered(server.root.replace("http:", "https:") + "/v1")

    assert said.endswith("is the scheme right, https or http?")


def test_http_to_a_tls_port(certificate: ssl.SSLContext) -> None:
    """And the other way round."""
    with scripted(lambda _: Said(), certificate) as server:
        said = unanswered(server.root.replace("https:", "http:") + "/v1")

    assert said.endswith("is the scheme right, or does this port speak https?")


def test_a_certificate_of_nobody(certificate: ssl.SSLContext) -> None:
    """Verification cannot be switched off: the line says where a private authority's certificate goes."""
    with scripted(lambda _: Said(), certificate) as server:
        said = unanswered(server.root + "/v1")

    assert said.endswith("its certificate is not trusted here: set ca_file in the target file")


def test_a_certificate_for_another_name(authority: trustme.CA, elsewhere: Path) -> None:
    """A trusted authority's certificate for another host is told from one that is not trusted."""
    authority.cert_pem.write_to_path(str(elsewhere / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("gateway.example").configure_cert(context)
    with scripted(lambda _: Said(), context) as server:
        (elsewhere / "t.toml").write_text(
            f'base_url = "{server.root}/v1"\napi_key = "{KEY}"\nca_file = "ca.pem"\n'
        )
        result = run("check", "--target", "t.toml")

    assert result.exit_code == Exit.INCONCLUSIVE
    assert one_line(result).endswith("its certificate is for another name: use that name in the base URL")


def test_a_certificate_that_the_target_file_trusts(
    authority: trustme.CA, certificate: ssl.SSLContext, elsewhere: Path
) -> None:
    """With `ca_file` the same server is judged."""
    authority.cert_pem.write_to_path(str(elsewhere / "ca.pem"))
    with scripted(lambda _: PAGE, certificate) as server:
        (elsewhere / "t.toml").write_text(
            f'base_url = "{server.root}/v1"\napi_key = "{KEY}"\nca_file = "ca.pem"\n'
        )
        result = run("check", "--target", "t.toml")

    assert result.exit_code == Exit.VIOLATES


@pytest.fixture(scope="module")
def signed_out() -> Iterator[Result]:
    """A check of a website's sign-in page, on a narrow screen."""
    with scripted(lambda _: PAGE) as server:
        yield run("check", "--base-url", f"{server.root}/v1", env={**WITH_KEY, "COLUMNS": "60"})


def test_any_http_answer_is_judged_with_a_hint_on_top(signed_out: Result) -> None:
    """What is no chat API at all violates the contract; the hint stands before the first finding."""
    said = signed_out.stdout
    last = said.splitlines()[-1]

    assert signed_out.exit_code == Exit.VIOLATES
    assert said.index("hint most answers are HTML pages") < said.index("  expected  ")
    assert " broken " not in said
    assert KEY not in signed_out.output
    assert last.startswith("FAIL http://127.0.0.1:")
    assert last.endswith("(exit 1)")


def test_what_is_to_be_done_is_not_cut_off(signed_out: Result) -> None:
    """However narrow the screen, an untestable row names its line of the target file."""
    row = next(line for line in signed_out.stdout.splitlines() if line.startswith("AUT-05"))

    assert "untestable" in row
    assert "provoke.revoked_key" in row


HTML: Mapping[str, Any] = {"body": b"<!DOCTYPE html><html>", "content_type": "text/html"}


@pytest.mark.parametrize(
    ("odd", "advice"),
    [
        (sync_answer(**HTML), "most answers are HTML pages: is the base URL the API's"),
        (error_answer(status=404, **HTML), "most answers are HTML pages"),
        (error_answer(status=404), "most answers are 404: is the path in front of /v1 right?"),
        (error_answer(status=401), "most answers are 401 or 403: is the key the right one"),
        (error_answer(status=403), "most answers are 401 or 403"),
        (error_answer(status=307), "most answers are redirects, which are not followed"),
        (error_answer(status=400), None),
        (sync_answer(), None),
    ],
)
def test_the_hint_is_of_what_most_answers_are(odd: Answer, advice: str | None) -> None:
    """Half of them is not enough: a suite provokes refusals of every kind."""
    most, half = hint([odd, odd, sync_answer()]), hint([odd, sync_answer()])

    assert (most or "").startswith(advice or "")
    assert (most is None) == (advice is None)
    assert half is None


def test_a_redirect_carries_no_key_away() -> None:
    """Where an answer points elsewhere, nothing goes there."""
    with scripted(lambda _: Said()) as other:

        def away(request: Heard) -> Said:
            return Said(307, b"", {"Location": other.root + request.path})

        with scripted(away) as server:
            run("check", "--base-url", f"{server.root}/v1", env=WITH_KEY)

    assert len(server.heard) > 10
    assert other.heard == []


# --- what a run looks like ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def clean() -> Result:
    """A check with nothing given."""
    return run("check", "--seed", "7")


def test_without_a_target_the_embedded_reference_is_judged_and_named(clean: Result) -> None:
    """Nobody takes a run against the reference for one of a deployment."""
    last = clean.stdout.splitlines()[-1]

    assert clean.exit_code == Exit.CONFORMS
    assert last.startswith("PASS EMBEDDED REFERENCE (http://127.0.0.1:")
    assert last.endswith("(exit 0)")


def test_the_table_has_a_line_a_clause_under_its_section(clean: Result) -> None:
    """In the contract's order."""
    ids = read_contract().ids
    lines = clean.stdout.splitlines()
    shown = [line.split()[0] for line in lines if line.partition(" ")[0] in ids]

    assert shown == list(ids)
    assert [line for line in lines if line in read_contract().sections] == list(read_contract().sections)


def test_findings_of_a_broken_deployment(reference: Reference, elsewhere: Path) -> None:
    """Expected, got, where and how to repeat it, below the table; the last line names the clause."""
    (elsewhere / "t.toml").write_text(target_text(reference.base_url_of(breaking("RSP-02", Outcome.FAIL))))
    result = run("check", "--target", "t.toml", "--jobs", "2")
    said = result.stdout

    assert result.exit_code == Exit.VIOLATES
    assert "RSP-02" in said.splitlines()[-1]
    assert "\nRSP-02 fail  `id` is a non-empty string" in said
    for word in ("  expected  ", "  got       ", "  where     ", "  repeat    curl -sS -N -i "):
        assert word in said
    assert '"$BEATRA_API_KEY"' in said


def test_strict_fails_on_warnings(reference: Reference, elsewhere: Path) -> None:
    """The same deployment passes without --strict and fails with it."""
    (elsewhere / "t.toml").write_text(target_text(reference.base_url_of(breaking("EP-03", Outcome.WARN))))
    lenient = run("check", "--target", "t.toml")
    strict = run("check", "--target", "t.toml", "--strict")

    assert (lenient.exit_code, strict.exit_code) == (Exit.CONFORMS, Exit.VIOLATES)
    assert "warned of, which counts with --strict: EP-03" in strict.stdout.splitlines()[-1]


def test_dry_run_sends_nothing(elsewhere: Path) -> None:
    """It counts and prices what would be sent, and names what stays untestable; the target hears nothing."""
    with scripted(lambda _: PAGE) as server:
        (elsewhere / "t.toml").write_text(f'base_url = "{server.root}/v1"\napi_key = "{KEY}"\n')
        result = run("check", "--target", "t.toml", "--dry-run")
    said = result.stdout

    assert result.exit_code == 0
    assert server.heard == []
    assert said.startswith(f"Nothing was sent to {server.root}/v1")
    for word in (
        " requests",
        " billed completions",
        " s with ",
        "cost  unknown",
        "untestable: AUT-05 (add provoke.",
    ):
        assert word in said


def test_a_report_that_cannot_be_written_stops_before_anything_is_sent(elsewhere: Path) -> None:
    """Nobody pays for a run whose report has no place."""
    (elsewhere / "taken").write_text("a file")
    with scripted(lambda _: PAGE) as server:
        (elsewhere / "t.toml").write_text(f'base_url = "{server.root}/v1"\napi_key = "{KEY}"\n')
        result = run("check", "--target", "t.toml", "--report", "taken/report")

    assert result.exit_code == Exit.USAGE
    assert "taken" in one_line(result)
    assert server.heard == []


def test_interrupted_runs_are_inconclusive(elsewhere: Path) -> None:
    """Ctrl-C ends with one verdict line and exit 3, not with a pass of what was seen until then."""

    def busy(_: Heard) -> Said:
        time.sleep(0.2)
        error = {"code": "rate_limited", "message": "later", "retryable": True}
        return Said(429, {"error": error}, {"X-Request-Id": str(uuid4())})

    with scripted(busy) as server:
        process = subprocess.Popen(
            [sys.executable, "-c", "from chatproof.cli import main; main()", "check", "--jobs", "1"],
            env={**os.environ, **WITH_KEY, "BEATRA_BASE_URL": f"{server.root}/v1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        while len(server.heard) < 3 and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)

    assert "Traceback" not in out + err
    assert process.returncode == Exit.INCONCLUSIVE, out + err
    assert "interrupted" in (out + err).splitlines()[-1]


# --- the other commands ------------------------------------------------------------------------------------------


def test_help_explains_exit_codes_and_outcomes() -> None:
    """Whoever reads a log finds each word and number explained."""
    top, check = run("--help").stdout, run("check", "--help").stdout
    for code, meaning in EXIT_MEANING.items():
        for said in (top, check):
            assert f"  {int(code)}  {meaning}" in said
    for outcome, meaning in MEANING.items():
        assert f"  {outcome:<13} {meaning}" in check


@pytest.mark.parametrize("command", main.commands)
def test_every_command_has_help(command: str) -> None:
    """A sentence, and its options."""
    result = run(command, "--help")

    assert result.exit_code == 0
    assert result.stdout.startswith("Usage: ")


@pytest.mark.parametrize(
    "words",
    [
        ("chek",),
        ("check", "extra"),
        ("check", "--jobs", "0"),
        ("check", "--jobs", "many"),
        ("check", "--nosuch"),
    ],
    ids=" ".join,
)
def test_a_wrong_word_is_a_usage_error(words: tuple[str, ...]) -> None:
    """Exit 2, and where help is."""
    result = run(*words)

    assert result.exit_code == Exit.USAGE
    assert "--help' for help" in result.stderr


def test_a_crash_of_ours_is_not_the_targets_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python's own exit code for a crash would say that the deployment does not conform."""
    monkeypatch.setattr(cli.check, "named_target", lambda *_: 1 / 0)
    result = run("check")

    assert result.exit_code == Exit.INVALID
    assert "ZeroDivisionError" in result.stderr
    assert result.stderr.splitlines()[-1].startswith(
        "chatproof: the lines above show a fault of chatproof itself"
    )


def test_clauses_lists_the_contract() -> None:
    """As a table and as JSON, each clause with what proves its check."""
    table, rows = run("clauses"), json.loads(run("clauses", "--json").stdout)

    assert [row["id"] for row in rows] == list(read_contract().ids)
    assert all(row["faults"] or row["unchecked"] or row["level"] == "OBSERVE" for row in rows)
    assert all(id in table.stdout for id in read_contract().ids)


def test_init_writes_a_file_that_check_reads(elsewhere: Path) -> None:
    """What `init` writes is valid as it stands, and it overwrites nothing."""
    first = run("init", "--base-url", "http://127.0.0.1:1/v1")
    checked = run("check", "--target", "target.toml", env=WITH_KEY)
    again = run("init")

    assert first.exit_code == 0
    assert "chatproof check --target target.toml" in first.stdout
    assert checked.exit_code == Exit.INCONCLUSIVE  # read, but nobody listens
    assert again.exit_code == Exit.USAGE
    assert one_line(again) == "chatproof: target.toml is there already: remove it, or name another file"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nosuch/t.toml",), "nosuch/t.toml cannot be written: No such file or directory"),
        (("--base-url", "http://127.0.0.1:1"), "--base-url must end in /v1: try http://127.0.0.1:1/v1"),
    ],
)
def test_init_that_cannot_write_leaves_nothing_behind(
    words: tuple[str, ...], said: str, elsewhere: Path
) -> None:
    """One line, exit 2, no empty file."""
    result = run("init", *words)

    assert result.exit_code == Exit.USAGE
    assert said in one_line(result)
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("prove", "--fault", "nosuch"),
            "no fault or variation is named 'nosuch': chatproof reference --list",
        ),
        (("prove", "--clause", "XX-01"), "no clause is named 'XX-01': chatproof clauses"),
        (("reference", "--fault", "nosuch"), "no fault or variation is named 'nosuch'"),
    ],
)
def test_names_that_do_not_exist(words: tuple[str, ...], said: str) -> None:
    """One line that says which command lists the right ones."""
    result = run(*words)

    assert result.exit_code == Exit.USAGE
    assert said in one_line(result)


def test_a_port_in_use(reference: Reference) -> None:
    """The reference says which option helps."""
    port = reference.root.rpartition(":")[2]
    result = run("reference", "--port", port)

    assert result.exit_code == Exit.USAGE
    assert one_line(result).endswith("name another with --port")


def test_prove_one_fault() -> None:
    """A fault by its name is run beside the clean reference, and the result is JSON where it is asked for."""
    name = breaking("RSP-02", Outcome.FAIL)
    result = run("prove", "--fault", name, "--json")
    shown = json.loads(result.stdout)

    assert result.exit_code == 0, result.output
    assert {row["name"] for row in shown["results"]} == {"reference", name}
