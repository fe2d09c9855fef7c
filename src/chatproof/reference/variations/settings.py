"""Deployments that settle an open question of the contract in another way, with the line that their target file
then has."""

from __future__ import annotations

from ..changes import accept, drop_in, frames, refuse, remap
from ..conditions import CLIENT_ID, LONG, code, header_sent, rule
from ..problem import Problem
from ..vocabulary import Variation
from .framing import CHUNKS, STREAMED
from .timing import in_runs

_BODY_RULES = ("body_empty", "body_truncated", "body_not_utf8", "body_malformed", "body_not_object")
_INVALID = code("invalid_request")


def _settings(*lines: str, table: str = "settings") -> str:
    return "\n".join(("", f"[{table}]", *lines, ""))


VARIATIONS = (
    Variation(
        "agreed-invalid-request-422",
        "Invalid requests are answered 422.",
        (remap(_INVALID, status=422),),
        _settings("invalid_request_status = [422]"),
    ),
    Variation(
        "agreed-invalid-request-either",
        "What is no JSON object is answered 400, a field that is wrong 422.",
        (remap(_INVALID & ~rule(*_BODY_RULES), status=422),),
        _settings("invalid_request_status = [400, 422]"),
    ),
    Variation(
        "agreed-unknown-model-404",
        "An unknown model is not found, as the target file says.",
        (remap(code("unsupported_model"), status=404, code="model_not_found"),),
        _settings('unknown_model = ["404"]'),
    ),
    Variation(
        "agreed-unknown-model-503",
        "An unknown model is one that is unavailable.",
        (remap(code("unsupported_model"), status=503, code="model_unavailable", retryable=True),),
        _settings('unknown_model = ["400 unsupported_model", "503 model_unavailable"]'),
    ),
    Variation(
        "agreed-both-samplings",
        "temperature and top_p are accepted together.",
        (accept("sampling_both"),),
        _settings('sampling_exclusivity = "accept"'),
        outcomes={"SMP-06": "observe", "SMP-08": "observe"},
    ),
    Variation(
        "agreed-unavailable-for-good",
        "A model that is unavailable is not worth another try.",
        (remap(code("model_unavailable"), retryable=False, headers=()),),
        _settings("model_unavailable_retryable = false"),
    ),
    Variation(
        "agreed-codes",
        "An odd X-Request-Id is refused with a code that the target file lists.",
        (
            refuse(
                Problem(400, "header_invalid", "X-Request-Id is not valid."),
                header_sent("X-Request-Id") & ~CLIENT_ID,
            ),
        ),
        _settings('extra_error_codes = ["header_invalid", "content_filtered"]'),
    ),
    Variation(
        "agreed-bare-chunks",
        "Chunks have choices and usage only, as the linked pages show them.",
        tuple(drop_in(CHUNKS, f"/{name}", STREAMED) for name in ("id", "object", "created", "model")),
        _settings('chunk_envelope = "bare"'),
        outcomes={"STR-04": "warn", "BIL-07": "untestable"},
    ),
    Variation(
        "agreed-coarse",
        "A long stream comes in four runs, and the target file asks for no more than that.",
        (frames(in_runs(24), STREAMED & LONG),),
        _settings("moments = 2", "largest_share = 0.9", table="settings.incremental"),
    ),
)
