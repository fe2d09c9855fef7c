"""Faults of a stream's bytes: their format, and how the transfer ends."""

from __future__ import annotations

from dataclasses import replace

from ..changes import (
    ends,
    reply,
    rewrite,
)
from ..conditions import (
    INCLUDE_USAGE,
    LONG,
    NON_ASCII,
    SECOND_MODEL,
)
from ..reply import Ending
from ..vocabulary import Fault, fails, unseen
from .chunks import CHUNKS, CONTENT, STREAMED


def _split_character(data: bytes) -> bytes:
    """A multi-byte character begins in one event and ends in the next."""
    at = next((index for index, byte in enumerate(data) if byte >= 0xC0), None)
    return data if at is None else data[: at + 1] + b"\n\ndata: " + data[at + 1 :]


def _bare_lines(data: bytes) -> bytes:
    return data.removeprefix(b"data: ")


_FORMAT = (
    Fault(
        "stream-not-utf-8",
        "Non-ASCII streams are encoded in GB 18030.",
        fails("STR-14", "STR-04", "STR-07", "REQ-14"),
        (rewrite(lambda data: data.decode().encode("gb18030"), CONTENT, when=NON_ASCII & STREAMED),),
    ),
    Fault(
        "character-cut-by-event",
        "A multi-byte character is cut by the end of an event.",
        fails("STR-14", "STR-04", "STR-07", "REQ-14"),
        (rewrite(_split_character, CONTENT, when=NON_ASCII & STREAMED),),
    ),
    Fault(
        "ndjson",
        "The second model's stream is lines of JSON without a field name.",
        fails("STR-02", "STR-06", "STR-12", "STR-14"),
        (rewrite(_bare_lines, when=SECOND_MODEL & STREAMED),),
        unseen("REQ-09", "BIL-07", "BIL-10"),
    ),
    Fault(
        "one-newline",
        "The second model's chunks end with one newline instead of two.",
        fails("STR-02", "STR-04", "STR-06", "STR-12"),
        (rewrite(lambda data: data[:-1], *CHUNKS, when=SECOND_MODEL & STREAMED),),
        unseen("REQ-09", "BIL-07", "BIL-10"),
    ),
)


_TRANSFER = (
    Fault(
        "reset-after-done",
        "The second model's connections are reset after [DONE], before the chunked encoding ends.",
        fails("STR-15"),
        (ends(Ending.RESET, when=STREAMED & SECOND_MODEL),),
    ),
    Fault(
        "closed-after-done",
        "Connections of streams with usage are closed after [DONE], before the chunked encoding ends.",
        fails("STR-15"),
        (ends(Ending.CUT, when=STREAMED & INCLUDE_USAGE),),
    ),
    Fault(
        "deaf-after-stream",
        "After a long stream the connection stays open and never answers again.",
        fails("STR-15"),
        (ends(Ending.DEAF, when=STREAMED & LONG),),
    ),
    Fault(
        "junk-after-stream",
        "After the second model's streams there is junk on the connection.",
        fails("STR-15"),
        (
            reply(
                lambda call, plan: replace(plan, afterwards=b"\r\n<!-- served by edge-7 -->\r\n"),
                STREAMED & SECOND_MODEL,
            ),
        ),
    ),
    Fault(
        "reset-mid-stream",
        "The second model's streams are reset after three tokens.",
        fails("STR-15"),
        (ends(Ending.RESET, CONTENT, 2, STREAMED & SECOND_MODEL),),
        unseen("REQ-09", "STR-12", "BIL-07", "BIL-10"),
    ),
)

FAULTS = (*_FORMAT, *_TRANSFER)
