"""How fast is it now: a fixed number of users, each asking again as soon as it was answered."""

from chatproof.swarm.users import StreamUser


class Steady(StreamUser):
    """A closed loop; `-u` says how many users."""
