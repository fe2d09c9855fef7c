"""chatproof: proves that a chat API deployment keeps its contract, and measures how fast it streams."""

__version__ = "0.1.0"
