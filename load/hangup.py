"""Do clients that hang up harm their neighbours: a share of them leaves mid-stream, the others are judged."""

from typing import Any

from chatproof.swarm.users import StreamUser


class Hangup(StreamUser):
    """A closed loop in which `--leave-share` of the clients leave."""

    @classmethod
    def leave_share(cls, options: dict[str, Any]) -> float:
        """How many leave."""
        share: float = options["leave_share"]
        return share
