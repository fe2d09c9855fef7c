"""`chatproof check --dry-run`: what would be sent, what it would cost, what stays untestable."""

from __future__ import annotations

from rich.console import Console

from chatproof.cli.deployment import new_seed
from chatproof.rehearsal import TOKENS_PER_S, TTFT_S, rehearse
from chatproof.target import Target


def show(console: Console, target: Target | None, jobs: int, seed: int | None) -> None:
    """Rehearse and print."""
    of = target.base_url if target else "the embedded reference"
    rehearsal = rehearse(target, jobs, new_seed(seed))
    lines = [
        f"Nothing was sent to {of}: the run was rehearsed with the embedded reference.",
        f"{rehearsal.requests:8d} requests",
        f"{rehearsal.completions:8d} billed completions",
        f"{rehearsal.prompt_tokens:8d} prompt tokens, about",
        f"{rehearsal.completion_tokens:8d} completion tokens at most",
        f"{rehearsal.seconds:8.0f} s with {jobs} jobs, if the first token takes {TTFT_S:g} s and then "
        f"{TOKENS_PER_S:g} tokens come a second",
        _cost(rehearsal.credits),
    ]
    budget = target.budget if target else None
    if budget is not None and rehearsal.requests > budget.check_requests:
        lines.append(f"budget.check_requests = {budget.check_requests} would stop the run early")
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True)
    for row in target.missing() if target else ():
        clauses = ", ".join(row.clauses)
        console.print(
            f"untestable: {clauses} (add {row.key}: {row.line})",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )


def _cost(credits: object) -> str:
    if credits is None:
        return "    cost  unknown: the first model has no price (model.input_usd_per_token or litellm_model)"
    return f"    cost  {credits:.4f} credits at most, with every model at the first one's price"
