"""What do clients see who come when they like: arrivals at a rate, whether or not earlier ones were answered."""

from collections.abc import Sequence
from typing import Any

from chatproof.swarm.users import Leg, OpenLoop


class Arrivals(OpenLoop):
    """An open loop; `--rate` says how many a second, `--arrival` how they are spread."""

    @classmethod
    def legs(cls, options: dict[str, Any], seconds: float) -> Sequence[Leg]:
        """One rate, all the time."""
        return (Leg(options["rate"], seconds, options["arrival"]),)
