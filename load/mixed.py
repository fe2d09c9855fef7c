"""What do sync and streamed requests do to each other: five kinds of work side by side, each with its own sizes."""

from collections.abc import Sequence
from typing import Any

from chatproof.swarm.asking.ask import MIX
from chatproof.swarm.users import StreamUser, Workload


class Mixed(StreamUser):
    """A closed loop of assistants, drafts, classifications, extractions and summaries."""

    @classmethod
    def workloads(cls, options: dict[str, Any]) -> Sequence[Workload]:
        """The document's five kinds of work."""
        return MIX
