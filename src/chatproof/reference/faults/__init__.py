"""Broken deployments, each a named value; one module per section of the contract."""

from __future__ import annotations

from ..vocabulary import by_name
from . import (
    authentication,
    billing,
    charges,
    chunks,
    concurrency,
    counts,
    endpoint,
    error_members,
    errors,
    failures,
    idempotency,
    models,
    replays,
    request,
    request_id,
    response,
    sampling,
    stream_bytes,
    streaming,
    usage_chunks,
    values,
    wallets,
)

FAULTS = by_name(
    endpoint.FAULTS,
    authentication.FAULTS,
    request.FAULTS,
    values.FAULTS,
    sampling.FAULTS,
    response.FAULTS,
    counts.FAULTS,
    streaming.FAULTS,
    stream_bytes.FAULTS,
    chunks.FAULTS,
    usage_chunks.FAULTS,
    concurrency.FAULTS,
    request_id.FAULTS,
    errors.FAULTS,
    error_members.FAULTS,
    failures.FAULTS,
    idempotency.FAULTS,
    replays.FAULTS,
    billing.FAULTS,
    charges.FAULTS,
    wallets.FAULTS,
    models.FAULTS,
)
