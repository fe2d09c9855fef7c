"""Faults of the sampling fields."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..changes import accept, body, put, refuse, remap, told_in_stream
from ..conditions import STREAM, SYNC, When, asks_for, rule
from ..problem import invalid
from ..seams import ASKED
from ..vocabulary import Fault, fails, unseen

_OPENAI = (
    b'{"detail":{"type":"invalid_request_error","message":"temperature and top_p are exclusive","code":null}}'
)


def _value(field: str, what: str, holds: Callable[[Any], bool]) -> When:
    """The field has such a value."""
    return When(f"{field} is {what}", lambda call: holds(call.fields.get(field)))


def _number(holds: Callable[[float], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, int | float) and not isinstance(value, bool) and holds(value)


def _refused(
    name: str, field: str, what: str, clause: str, holds: Callable[[Any], bool], **more: Any
) -> Fault:
    problem = invalid(f"{field} must not be {what}.", f"/{field}")
    return Fault(
        name,
        f"A {field} that is {what} is refused.",
        fails(clause),
        (refuse(problem, _value(field, what, holds)),),
        **more,
    )


def _accepted(
    name: str, field: str, what: str, clause: str, side: str, holds: Callable[[Any], bool]
) -> Fault:
    return Fault(
        name,
        f"A {field} that is {what} is accepted.",
        fails(clause),
        (accept(f"{field}_{side}", when=_value(field, what, holds)),),
    )


_BOUNDS = (
    _refused(
        "temperature-zero-refused",
        "temperature",
        "0",
        "SMP-01",
        _number(lambda t: t == 0),
        blinds=unseen("STR-16"),
    ),
    _refused("temperature-two-refused", "temperature", "2", "SMP-01", _number(lambda t: t == 2)),
    _refused(
        "temperature-fraction-refused", "temperature", "a fraction", "SMP-01", _number(lambda t: t != int(t))
    ),
    _accepted(
        "temperature-low-accepted", "temperature", "below 0", "SMP-02", "low", _number(lambda t: t < 0)
    ),
    _accepted(
        "temperature-just-below",
        "temperature",
        "just below 0",
        "SMP-02",
        "low",
        _number(lambda t: -0.1 <= t < 0),
    ),
    _accepted(
        "temperature-high-accepted", "temperature", "above 2", "SMP-02", "high", _number(lambda t: t > 2)
    ),
    _accepted(
        "temperature-just-above",
        "temperature",
        "just above 2",
        "SMP-02",
        "high",
        _number(lambda t: 2 < t <= 2.1),
    ),
    _accepted(
        "temperature-string", "temperature", "a string", "SMP-03", "type", lambda t: isinstance(t, str)
    ),
    _accepted(
        "temperature-boolean", "temperature", "a boolean", "SMP-03", "type", lambda t: isinstance(t, bool)
    ),
    _accepted(
        "temperature-container",
        "temperature",
        "an array or object",
        "SMP-03",
        "type",
        lambda t: isinstance(t, list | dict),
    ),
    Fault(
        "top-p-gets-temperature",
        "The gateway adds a default temperature, and then refuses top_p alone.",
        fails("SMP-04"),
        (
            put(
                ASKED,
                "/temperature",
                1.0,
                asks_for(top_p=...) & When("no temperature", lambda call: "temperature" not in call.fields),
            ),
        ),
    ),
    _refused("top-p-zero-refused", "top_p", "0", "SMP-04", _number(lambda p: p == 0)),
    _refused("top-p-one-refused", "top_p", "1", "SMP-04", _number(lambda p: p == 1)),
    _accepted("top-p-low-accepted", "top_p", "below 0", "SMP-05", "low", _number(lambda p: p < 0)),
    _accepted("top-p-high-accepted", "top_p", "above 1", "SMP-05", "high", _number(lambda p: p > 1)),
    _accepted("top-p-just-above", "top_p", "just above 1", "SMP-05", "high", _number(lambda p: 1 < p <= 1.1)),
    _accepted("top-p-string", "top_p", "a string", "SMP-05", "type", lambda p: isinstance(p, str)),
    _accepted("top-p-boolean", "top_p", "a boolean", "SMP-05", "type", lambda p: isinstance(p, bool)),
)

_BOTH = rule("sampling_both")

_EXCLUSIVE = (
    Fault(
        "both-accepted",
        "temperature and top_p together are accepted.",
        fails("SMP-06", "SMP-07", "SMP-08"),
        (accept("sampling_both"),),
    ),
    Fault(
        "both-accepted-sync",
        "temperature and top_p together are accepted where no stream is asked for.",
        fails("SMP-06", "SMP-07"),
        (accept("sampling_both", when=SYNC),),
    ),
    Fault(
        "both-unsupported",
        "temperature and top_p together are refused as an unsupported option.",
        fails("SMP-06", "SMP-07", "SMP-08"),
        (remap(_BOTH, status=422, code="unsupported_option"),),
    ),
    Fault(
        "both-raw-upstream",
        "temperature and top_p together are passed on, and the upstream's own error comes back.",
        fails("ERR-01"),
        (body(_OPENAI, when=_BOTH & SYNC),),
    ),
    Fault(
        "temperature-zero-is-absent",
        "A temperature of 0 counts as absent beside top_p.",
        fails("SMP-07"),
        (accept("sampling_both", when=asks_for(temperature=0)),),
    ),
    Fault(
        "temperature-default-is-absent",
        "A temperature of 1, OpenAI's default, counts as absent beside top_p.",
        fails("SMP-07"),
        (accept("sampling_both", when=asks_for(temperature=1)),),
    ),
    Fault(
        "top-p-zero-is-absent",
        "A top_p of 0 counts as absent beside temperature.",
        fails("SMP-07"),
        (accept("sampling_both", when=asks_for(top_p=0)),),
    ),
    Fault(
        "top-p-default-is-absent",
        "A top_p of 1, OpenAI's default, counts as absent beside temperature.",
        fails("SMP-07"),
        (accept("sampling_both", when=asks_for(top_p=1)),),
    ),
    Fault(
        "null-top-p-counts",
        "top_p:null counts as present beside temperature.",
        fails("SMP-07"),
        (
            refuse(
                invalid("Send either temperature or top_p.", "/top_p"),
                asks_for(temperature=...)
                & When("top_p is null", lambda call: call.fields.get("top_p", ...) is None),
            ),
        ),
    ),
    Fault(
        "null-temperature-counts",
        "temperature:null counts as present beside top_p.",
        fails("SMP-07"),
        (
            refuse(
                invalid("Send either temperature or top_p.", "/temperature"),
                asks_for(top_p=...)
                & When("temperature is null", lambda call: call.fields.get("temperature", ...) is None),
            ),
        ),
    ),
    Fault(
        "both-accepted-in-streams",
        "temperature and top_p together are accepted where a stream is asked for.",
        fails("SMP-08"),
        (accept("sampling_both", when=STREAM),),
    ),
    Fault(
        "both-told-in-stream",
        "temperature and top_p together are refused inside a stream that began with 200.",
        fails("SMP-08", "STR-10"),
        (told_in_stream(_BOTH & STREAM),),
    ),
    Fault(
        "both-told-as-event",
        "temperature and top_p together are refused with 400, but as a server-sent event.",
        fails("SMP-08", "STR-10", "ERR-01"),
        (told_in_stream(_BOTH & STREAM, status=400),),
    ),
)

FAULTS = (*_BOUNDS, *_EXCLUSIVE)
