"""The wallet's balance, read as the target file says: from a URL or by a command. Knows no clause and no charge.

A deployment may post a charge a moment after its answer, so a balance is waited for: until it stands still before
something is bought, and until it agrees afterwards.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from typing import Any

from chatproof.answer import decode_json
from chatproof.money import Printed, printed
from chatproof.probe import Talk, told
from chatproof.record import ASIDE, Tag
from chatproof.target import Balance
from chatproof.verdict import NotObserved, Untestable
from chatproof.wire import Call

LINE = "billing.balance"  # of the target file
PAUSES = 6  # each twice as long as the one before
FIRST_PAUSE_S = 0.5  # half a minute until patience ends
FIRST_PAUSE_ON_LOOPBACK_S = 0.02


def still(talk: Talk, step: str) -> Printed:
    """The balance when two readings in a row agree; NotObserved where it never stands still."""
    before = read(talk, f"{step}-0")
    for n, pause_s in enumerate(_pauses(talk), start=1):
        time.sleep(pause_s)
        now = read(talk, f"{step}-{n}")
        if now.value == before.value:
            return now
        before = now
    raise NotObserved(
        "the balance moves although this run asks for nothing: does someone else use the account?"
    )


def when(talk: Talk, step: str, agrees: Callable[[Printed], bool]) -> Printed:
    """The balance a pause after it first agreed, or when patience ended: what is posted late is seen too."""
    for n, pause_s in enumerate(_pauses(talk)):
        agreed = agrees(read(talk, f"{step}-{n}"))
        time.sleep(pause_s)
        if agreed:
            break
    return read(talk, f"{step}-last")


def read(talk: Talk, step: str) -> Printed:
    """The balance now; Untestable where the target file names no place, or one that gives no number."""
    hook = talk.target.billing.balance
    if hook is None:
        raise Untestable(LINE)
    said = _run(talk, hook) if hook.command else _fetched(talk, hook, step)
    try:
        found = printed(at(decode_json(said), hook.pointer))
    except (ValueError, LookupError):
        found = None
    if found is None:
        raise Untestable(f"{LINE}: no number at {hook.pointer or 'the top'!r} of what it gives")
    return found


def at(value: Any, pointer: str) -> Any:
    """The part of a JSON value that a pointer names (RFC 6901); LookupError or ValueError where there is none."""
    for token in pointer.split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        if isinstance(value, list):
            value = value[int(name)]
        elif isinstance(value, dict):
            value = value[name]
        else:
            raise LookupError(name)
    return value


def _fetched(talk: Talk, hook: Balance, step: str) -> bytes:
    """The URL's body; only the hook's own headers go there, no key of the deployment's."""
    headers = (*hook.headers.items(), ("Accept-Encoding", "identity"))
    answer = talk.gateway.send(
        Call(tag=Tag(talk.probe, ASIDE + step), method="GET", url=hook.url or "", headers=headers)
    )
    if answer.status is None:
        raise NotObserved(f"the balance could not be read: {told(answer)}")
    if answer.status != 200:
        raise Untestable(f"{LINE}: its url answers {told(answer)}")
    return answer.body


def _run(talk: Talk, hook: Balance) -> bytes:
    command = list(hook.command or ())
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=talk.target.timeout_s, check=False
        )
    except subprocess.TimeoutExpired:
        raise NotObserved(f"{LINE}: {command[0]} did not end within {talk.target.timeout_s:g} s") from None
    except OSError as error:
        raise Untestable(f"{LINE}: {command[0]} cannot be run: {error.strerror}") from None
    if done.returncode != 0:
        raise Untestable(f"{LINE}: {command[0]} ended with {done.returncode}")
    return done.stdout


def _pauses(talk: Talk) -> list[float]:
    first_s = FIRST_PAUSE_ON_LOOPBACK_S if talk.target.is_loopback else FIRST_PAUSE_S
    return [first_s * 2**n for n in range(PAUSES)]
