"""Does it leak or drift: a steady load for hours, looked at for a trend in its figures and in the client's memory."""

from chatproof.swarm.users import StreamUser


class Soak(StreamUser):
    """A closed loop; `-t 8h` says how long."""

    soak = True
