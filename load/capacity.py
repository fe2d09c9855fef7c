"""What can it carry: the highest rate of arrivals that still meets the SLO."""

from chatproof.swarm.users import OpenLoop


class Capacity(OpenLoop):
    """Steps of `--step-s` from `--rate` on: doubled until the SLO is missed, then halved in between."""

    search = True
