"""The commented target file that a new user begins with. Knows no file on disk and no clock."""

from __future__ import annotations

import json
from datetime import date, timedelta
from typing import Final

from chatproof.target.address import checked_base_url
from chatproof.target.keys import PREREQUISITES

WAIVED_FOR: Final = timedelta(days=90)  # long enough to arrange a key, short enough to be asked again

_REASONS: Final = {
    "model.credits_per_litellm_usd": "the markup of this deployment is not known yet",
    "model.litellm_model": "the prices of this deployment's models are not known yet",
    "billing.credits_per_usd_rate": "the wallet's rate is not known yet",
    "billing.balance": "the wallet's balance cannot be read from outside",
    "provoke.revoked_key": "no revoked key at hand",
    "provoke.rate_limited_key": "no rate-limited key at hand",
    "provoke.unavailable_model": "no model that is known to be down",
    "provoke.empty_wallet_key": "no account with an empty wallet",
    "provoke.flaky_key": "no key that is refused once per idempotency key",
}

_BEGINNING: Final = """\
# The target of chatproof: one deployment, and what is known about it.
# Every key is explained in docs/target-file.md; an unknown key is an error.
# Secrets stay in the environment: "${{NAME}}" is read from it in keys and header values.

# The address, up to and including /v1.
base_url = {base_url}
api_key = "${{BEATRA_API_KEY}}"

# headers = {{ "X-Env" = "staging" }}   # sent with every request
# ca_file = "ca.pem"                    # a private authority's certificate, beside this file
# timeout_s = 60                        # one request
# stall_s = 20                          # the longest silence inside a stream

# The first model is the one that most probes pin. Without any, one is taken from /models, else "auto".
# [[model]]
# id = "MiniMax-M2.7"
# credits_per_litellm_usd = "1500"      # money is a string: it is read as a decimal
# litellm_model = "novita/minimax/minimax-m2.7"
# Or the prices themselves, which win over LiteLLM's:
# input_usd_per_token = "0.0000003"
# output_usd_per_token = "0.0000012"
# cached_input_usd_per_token = "0.00000006"

# [billing]
# credits_per_usd_rate = "1000"
# balance = {{ url = "https://staging.example/admin/balance", pointer = "/balance" }}
# balance = {{ command = ["./balance", "staging"] }}

# Each missing line leaves its clauses untestable; see the [[waive]] entries below.
# [provoke]
# rate_limited_key = "${{LIMITED_KEY}}"
# empty_wallet_key = "${{EMPTY_KEY}}"
# revoked_key = "${{REVOKED_KEY}}"
# flaky_key = "${{FLAKY_KEY}}"            # 429 on the first use of an idempotency key, success on the next
# unavailable_model = "down-model"

# Questions that the documentation leaves open; these are the defaults.
# [settings]
# invalid_request_status = [400]        # [400, 422] for a deployment that validates with FastAPI
# unknown_model = ["400 unsupported_model"]
# sampling_exclusivity = "reject"       # or "accept"
# model_unavailable_retryable = true
# chunk_envelope = "openai"             # or "bare": chunks without id, object, created, model only warn
# incremental = {{ moments = 4, apart_ms = 2, largest_share = 0.7 }}
# extra_error_codes = []

# A finding that is known: still looked for, red again when it is gone or past its date.
# [[deviation]]
# clause = "ERR-07"
# match = {{ route = "/chat/completions", status = 400, contains = "messages" }}
# reason = "field pointers come with the new validator"
# ticket = "GW-1432"
# until = {until}

# Hard stops.
[budget]
# credits = "50"
check_requests = 2000
load_requests = 100000

# What load and gate hold the deployment to; any subset.
# [slo]
# ttft_p95_ms = 800
# itl_p99_ms = 120
# e2e_p95_s = 12
# complete_fraction = 0.999

# What this file gives no means to test yet. Each entry accepts that until its date: edit the reason,
# or fill in the line it names above and remove the entry.
"""


def starter_text(base_url: str | None = None, *, today: date) -> str:
    """A target file that is valid once `base_url` is filled in; its waivers end some weeks after `today`."""
    written = checked_base_url(base_url, "--base-url") if base_url is not None else ""
    until = today + WAIVED_FOR
    lacking = {clause: row.key for row in reversed(PREREQUISITES) for clause in row.clauses}
    waivers = [
        f'\n[[waive]]  # {key}\nclause = "{clause}"\nreason = "{_REASONS[key]}"\nuntil = {until}\n'
        for clause, key in sorted(lacking.items())
    ]
    return _BEGINNING.format(base_url=json.dumps(written), until=until) + "".join(waivers)
