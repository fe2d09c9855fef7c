"""What do clients see who come when they like: arrivals at a rate or from a trace, answered or not."""

from collections.abc import Sequence
from typing import Any

from chatproof.swarm.users import Leg, OpenLoop


class Arrivals(OpenLoop):
    """An open loop; `--rate` says how many a second, `--arrival` how they are spread, or `--trace` when each comes."""

    plays_traces = True

    @classmethod
    def legs(cls, options: dict[str, Any], seconds: float) -> Sequence[Leg]:
        """One rate, all the time."""
        return (Leg(options["rate"], seconds, options["arrival"]),)
