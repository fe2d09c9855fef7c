"""Exceptions that nobody caught, in any greenlet or callback of the loop: each is our own fault. Ends nothing itself.

Where greenlets fail nobody is waiting for them, so that a run would go on without its reporter, or never end. They
all come by one place, gevent's hub; what locust or its web server do without us is not looked at.
"""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import gevent
from gevent import GreenletExit

from chatproof.target import folder

Tell = Callable[[str], None]
_IN_ORDER = (GreenletExit, SystemExit, KeyboardInterrupt)
_OURS = (str(Path(__file__).parents[1]), str(folder("load")))


def tell_of_greenlets(tell: Tell) -> None:
    """From now on `tell` gets the traceback of each exception that leaves a greenlet or a callback of ours."""
    hub = gevent.get_hub()
    handle = hub.handle_error

    def handle_error(
        context: Any, kind: type[BaseException], value: Any, trace: TracebackType | None
    ) -> None:
        handle(context, kind, value, trace)
        if not issubclass(kind, _IN_ORDER) and not isinstance(context, Mapping) and _is_ours(trace):
            gevent.spawn(_safely, tell, "".join(traceback.format_exception(kind, value, trace)))

    hub.handle_error = handle_error


def telling(tell: Tell, listener: Callable[..., None]) -> Callable[..., None]:
    """The listener, but for its exceptions, which `tell` gets: locust would log them and go on."""

    @functools.wraps(listener)
    def listen(*args: Any, **kwargs: Any) -> None:
        try:
            listener(*args, **kwargs)
        except Exception:
            _safely(tell, traceback.format_exc())

    return listen


def _safely(tell: Tell, trace: str) -> None:
    try:
        tell(trace)
    except Exception:  # told once more it would fail once more
        traceback.print_exc()


def _is_ours(trace: TracebackType | None) -> bool:
    return any(frame.filename.startswith(_OURS) for frame in traceback.extract_tb(trace))
