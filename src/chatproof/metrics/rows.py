"""The per-stream row: one stream's ladder of instants, ending and counts. Knows no socket and no target.

A row is complete when it is made and is what `samples.jsonl` holds, one a line. Every instant is an integer
of nanoseconds on one monotonic clock counted from the start of the run, or None where the stream never got
there. Any tool's definition of time to first token can be computed from it again.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from chatproof.record import Ending

Clock = Literal["kernel", "user"]


class StreamRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One stream, or one unstreamed answer (`stream` false), from its intended start to its ending."""

    stream_id: str
    """Unique within the run: the nonce or number that the request carried."""
    scenario: str
    """The scenario or workload that asked."""
    worker: str = ""
    """The load worker that ran it."""
    model: str = ""
    """The model that answered, else the one asked for."""
    stream: bool = True
    """Whether a stream was asked for; time to first token and gaps exist only then."""
    request_id: str | None = None
    """`X-Request-Id` of the answer."""

    intended_ns: int
    """When the schedule wanted it to start; in a closed loop the same as `started_ns`."""
    started_ns: int
    """When it did start: before the connection is opened or taken from the user's kept one."""
    connected_ns: int | None = None
    """The connection, TLS included, stood; None when a kept connection was used again."""
    sent_ns: int | None = None
    """The last byte of the request was handed to the kernel."""
    headers_ns: int | None = None
    """The head of the response was complete."""
    first_byte_ns: int | None = None
    """The first byte of the body."""
    first_event_ns: int | None = None
    """The first data event, whatever it held."""
    role_only_ns: int | None = None
    """The first chunk that told a role and no content; never a first token."""
    first_reasoning_ns: int | None = None
    """The first event with non-empty reasoning."""
    first_content_ns: int | None = None
    """The first event with non-empty content: the instant TTFT means."""
    last_content_ns: int | None = None
    """The last event with non-empty content."""
    finish_ns: int | None = None
    """The event that carried a finish_reason."""
    usage_ns: int | None = None
    """The event that carried usage."""
    done_ns: int | None = None
    """`data: [DONE]`."""
    ended_ns: int | None = None
    """The transfer was over; None for a stream still running when the run ended."""

    ending: Ending
    """How it ended; only `complete` is success."""
    detail: str = ""
    """The transport's or the error envelope's own word when it was not complete."""
    status: int | None = None
    """HTTP status; None when no head came."""
    reused: bool = False
    """The connection had carried an exchange before."""
    reconnected: bool = False
    """The kept connection was closed under the request, which went out once more on a new one."""
    clock: Clock = "user"
    """Which clock stamped the bytes: the kernel at the packet's arrival, or this process at the read."""

    prompt_tokens: int | None = None
    """From `usage`."""
    completion_tokens: int | None = None
    """From `usage`, reasoning included; without usage the count of content events, marked approximate."""
    tokens_approximate: bool = False
    """`completion_tokens` was counted from events, not reported."""
    credits: str | None = None
    """Credits charged, as the decimal string of the answer."""

    content_events: int = 0
    """Events with non-empty content."""
    events: int = 0
    """All data events, `[DONE]` included."""
    reads: int = 0
    """Reads that brought bytes of the body."""
    zero_gaps: int = 0
    """Gaps of 0 ns: a content event that came in the same read as the one before it."""
    gaps: str = ""
    """The gaps between consecutive content events, as `Histogram.pack` writes them."""
