"""Broken deployments, each a named value; one module per section of the contract."""

from __future__ import annotations

from ..vocabulary import by_name
from . import concurrency, endpoint, request, response, sampling, streaming

FAULTS = by_name(
    endpoint.FAULTS,
    request.FAULTS,
    sampling.FAULTS,
    response.FAULTS,
    streaming.FAULTS,
    concurrency.FAULTS,
)
