"""Reading the balance: from a URL or a command, waiting for it, and what a wrong line of the target file says."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from chatproof import balance
from chatproof.money import Printed
from chatproof.probe import Shared, Talk
from chatproof.target import parse_target
from chatproof.verdict import NotObserved, Untestable
from chatproof.wire import Gateway
from tests.scripted import Heard, Said, Server, scripted

KEY = "sk-test-4f1d0c9be7a2"


@contextmanager
def talking(
    hook: str, script: Callable[[Heard], Said] = lambda heard: Said(404)
) -> Iterator[tuple[Talk, Server]]:
    """A conversation with a target whose `[billing]` says so; ROOT stands for the server's address."""
    with scripted(script) as server:
        text = f'base_url = "{server.root}/v1"\napi_key = "{KEY}"\ntimeout_s = 2\nheaders = {{ "X-Env" = "staging" }}\n'
        text += f"[billing]\n{hook.replace('ROOT', server.root)}\n"
        gateway = Gateway(parse_target(text, name="test", beside=Path(), env={}), seed=1)
        try:
            yield Talk(gateway, "test_some", 1, Shared(), "small"), server
        finally:
            gateway.close()


def says(*values: Any) -> Callable[[Heard], Said]:
    """A balance that is each of these in turn, and stays at the last."""
    left = list(values)
    return lambda heard: Said(body={"wallet": {"credits": left.pop(0) if len(left) > 1 else left[0]}})


HOOK = 'balance = { url = "ROOT/admin", pointer = "/wallet/credits" }'


def command(program: str) -> str:
    """A hook that runs a line of Python."""
    words = ", ".join(f"'{word}'" for word in (sys.executable, "-c", program))
    return f"balance = {{ command = [{words}] }}"


def test_url_is_read_with_the_hooks_own_headers_only() -> None:
    """The balance may lie on another host: neither the deployment's key nor its headers go there."""
    hook = 'balance = { url = "ROOT/admin", pointer = "/wallet/credits", headers = { "X-Admin-Token" = "letmein" } }'
    with talking(hook, says("12.50")) as (talk, server):
        assert balance.read(talk, "1") == Printed(Decimal("12.50"), 2)
        (heard,) = server.heard
        (exchange,) = talk.gateway.exchanges

    assert heard.path == "/admin"
    assert heard.headers["x-admin-token"] == "letmein"
    assert heard.headers.keys().isdisjoint({"authorization", "x-env", "user-agent"})
    assert exchange.tag.aside
    assert "letmein" not in repr(exchange)


@pytest.mark.parametrize("program", ["print(7.250)", "print(chr(34) + str(7.25) + chr(34))"])
def test_command_prints_the_balance(program: str) -> None:
    """A command's output is JSON, a number or a string with one."""
    with talking(command(program)) as (talk, _):
        assert balance.read(talk, "1").value == Decimal("7.25")


WRONG = {
    "no hook": ("", says(1), "billing.balance"),
    "another status": (HOOK, lambda heard: Said(403, b"no"), "its url answers 403"),
    "no such member": (HOOK, lambda heard: Said(body={"wallet": {}}), "no number at '/wallet/credits'"),
    "no number": (HOOK, says("much"), "no number at '/wallet/credits'"),
    "no JSON": (HOOK, lambda heard: Said(body=b"12.5 credits"), "no number"),
    "a failing command": (command("raise SystemExit(3)"), says(1), "ended with 3"),
    "no such command": ('balance = { command = ["no-such-command-here"] }', says(1), "cannot be run"),
}


@pytest.mark.parametrize("how", WRONG)
def test_wrong_line_is_named(how: str) -> None:
    """What cannot be read is untestable, and the text names the line of the target file."""
    hook, script, expected = WRONG[how]
    with talking(hook, script) as (talk, _), pytest.raises(Untestable) as caught:
        balance.read(talk, "1")

    assert str(caught.value).startswith("billing.balance")
    assert expected in str(caught.value)


def test_hanging_command_is_not_waited_for() -> None:
    """A command has as long as a request has."""
    with (
        talking(command("import time; time.sleep(60)")) as (talk, _),
        pytest.raises(NotObserved, match="did not end within 2 s"),
    ):
        balance.read(talk, "1")


def test_still_waits_until_the_balance_stands() -> None:
    """A charge that is posted late is waited for before anything is bought."""
    with talking(HOOK, says(10, 9, 8, 8)) as (talk, server):
        assert balance.still(talk, "before").value == 8
        assert len(server.heard) == 4


def test_balance_that_never_stands_is_not_judged() -> None:
    """Somebody else spends from the account."""
    with talking(HOOK, says(*range(100))) as (talk, _), pytest.raises(NotObserved, match="someone else"):
        balance.still(talk, "before")


def test_when_waits_for_agreement_and_looks_once_more() -> None:
    """What is posted after the balance agreed is seen: a second charge does not hide behind the first."""
    with talking(HOOK, says(10, 10, 9, 8)) as (talk, _):
        assert balance.when(talk, "after", lambda now: now.value == 9).value == 8


def test_patience_ends() -> None:
    """A balance that never agrees is given back as it is in the end."""
    with talking(HOOK, says(10)) as (talk, server):
        assert balance.when(talk, "after", lambda now: False).value == 10
        assert len(server.heard) == balance.PAUSES + 1


def test_pointer() -> None:
    """RFC 6901: members, places in arrays, escapes; what is not there is an error."""
    value = {"a/b": [{"c~d": 5}], "": 6}

    assert balance.at(value, "") == value
    assert balance.at(value, "/a~1b/0/c~0d") == 5
    assert balance.at(value, "/") == 6
    for pointer in ("/x", "/a~1b/1", "/a~1b/x", "/a~1b/0/c~0d/e"):
        with pytest.raises((LookupError, ValueError)):
            balance.at(value, pointer)
