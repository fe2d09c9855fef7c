"""What happens in a burst, and how long after it: a rate, many times that rate, and the rate again."""

from collections.abc import Sequence
from typing import Any

from chatproof.swarm.users import Leg, OpenLoop


class Spike(OpenLoop):
    """An open loop; the burst is `--spike-factor` times `--rate` for a fifth of the time."""

    @classmethod
    def legs(cls, options: dict[str, Any], seconds: float) -> Sequence[Leg]:
        """Two fifths before, one fifth of burst, two fifths after."""
        rate, process = options["rate"], options["arrival"]
        calm = Leg(rate, seconds * 0.4, process)
        return (calm, Leg(rate * options["spike_factor"], seconds * 0.2, process), calm)
