"""Samples in, figures and verdicts out. Knows no clock, no network and no file."""

from chatproof.metrics.histogram import Histogram
from chatproof.metrics.rows import Clock, StreamRow

__all__ = ["Clock", "Histogram", "StreamRow"]
