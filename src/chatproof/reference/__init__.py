"""The embedded reference gateway: a real server that keeps the whole contract, or breaks it by name.

The worked example of the contract and the oracle of the suite; it shares no code with the suite's judgement.
"""

from __future__ import annotations

from .embedded import Reference, embedded, start, target_text
from .latency import Latency
from .server import serve

__all__ = ["Latency", "Reference", "embedded", "serve", "start", "target_text"]
