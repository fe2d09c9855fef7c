"""The only code that talks to a target in a conformance run: sends, records, retries by the book. Never judges."""

from chatproof.wire.gateway import Call, Gateway, OverBudget, Unreachable
from chatproof.wire.line import Limits, Route
from chatproof.wire.retry import Backoff

__all__ = ["Backoff", "Call", "Gateway", "Limits", "OverBudget", "Route", "Unreachable"]
