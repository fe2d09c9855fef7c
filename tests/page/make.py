"""Writes the pages that the browser is to open: a red run with load and baseline, an invalid one, a small one.

Beside them the red run's results for Allure.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chatproof.report import allure, difference, report_of
from chatproof.report.page import page
from chatproof.verdict import Exit, Verdict, decide
from tests.judged import RUN, judged, target
from tests.loaded import load


def documents() -> Mapping[str, Mapping[str, Any]]:
    """Each page's document by its name."""
    run = judged()
    verdict = decide(run.rows)
    older = report_of(run, target(), RUN, verdict, load())
    older["observed"] = {**older["observed"], "headers of stream": ["content-type", "x-upstream"]}
    older["clauses"][1] |= {"outcome": "pass", "findings": []}
    newer = report_of(run, target(), RUN, verdict, load(slower_ms=40), proved_by={"STR-02": ("no-done",)})
    return {
        "red": {**newer, "baseline": difference(older, newer)},
        "invalid": report_of(run, target(), RUN, Verdict(Exit.INVALID, "too busy"), load(busy=True)),
        "plain": report_of(run, target(), RUN, verdict),
    }


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    (folder / allure.FOLDER).mkdir(parents=True, exist_ok=True)
    made = documents()
    for name, document in made.items():
        (folder / f"{name}.html").write_bytes(page(document))
    for path, data in allure.files(made["red"], judged().exchanges).items():
        (folder / path).write_bytes(data)
