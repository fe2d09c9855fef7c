"""Faults of the streaming section."""

from __future__ import annotations

from ..changes import ends, held_back, insert, put_in, without
from ..conditions import LONG, SECOND_MODEL, STREAM
from ..reply import Carries, Chunk, Ending
from ..vocabulary import Fault, fails

FAULTS = (
    Fault(
        "no-done",
        "A finished stream ends without [DONE].",
        fails("STR-02"),
        (without(Carries.DONE),),
    ),
    Fault(
        "done-twice",
        "[DONE] is sent twice.",
        fails("STR-02", "STR-03"),
        (insert(Chunk("[DONE]", Carries.DONE), after=Carries.DONE),),
    ),
    Fault(
        "finish-null",
        "The last chunk of a choice has finish_reason null.",
        fails("STR-06"),
        (put_in([Carries.FINISH], "/choices/*/finish_reason", None),),
    ),
    Fault(
        "buffered",
        "A long stream is held back and delivered at once.",
        fails("STR-09"),
        (held_back(when=STREAM & LONG),),
    ),
    Fault(
        "reset-after-done",
        "The connection is reset after [DONE], before the last chunk of the chunked encoding.",
        fails("STR-15"),
        (ends(Ending.RESET, when=STREAM & SECOND_MODEL),),
    ),
)
