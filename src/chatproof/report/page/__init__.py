"""The report as one page that needs nothing else: no network, no server, no file beside it. Knows only the document.

Styles and script stand in the page, named by their digests in its content security policy: whatever a deployment sent,
the page can neither load nor run it.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from chatproof.report.accept import deviation_entry
from chatproof.report.document import encodable
from chatproof.report.page.figures import CLOCKS, DEFINITIONS, charts
from chatproof.report.page.risk import at_risk, foremost
from chatproof.report.page.scale import duration, number, share
from chatproof.report.words import MARKS, ORDER, sentence, some, tally, traces, visible
from chatproof.verdict import MEANING, Outcome

MOST_BYTES: Final = 1_900_000
# How many findings of a clause, and how many characters of a text: the first pair with which the page is small enough.
FITS: Final = ((5, 4000), (3, 2000), (1, 1000), (1, 300))
VERDICT_MARKS: Final = {"pass": "✓", "fail": "✕", "inconclusive": "?", "invalid": "!"}


def page(document: Mapping[str, Any]) -> bytes:
    """`index.html`: the whole report in one file, below 2 MB, the same for the same document."""
    style, script = _part("page.css"), _part("page.js")
    sections = list(dict.fromkeys(row["section"] for row in document["clauses"]))
    values = {
        "d": document,
        "sections": [
            (name, [row for row in document["clauses"] if row["section"] == name]) for name in sections
        ],
        "charts": charts(document["load"]) if document["load"] else [],
        "foremost": foremost(document),
        "risks": at_risk(document),
        "tally": tally(document),
        "style": Markup(style),
        "script": Markup(script),
        "style_hash": _digest(style),
        "script_hash": _digest(script),
    }
    template = _templates().get_template("page.html")
    made = b""
    for findings, characters in FITS:
        text = template.render(values, most_findings=findings, most=characters)
        made = encodable(visible(text)).encode()
        if len(made) <= MOST_BYTES:
            break
    return made


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader("chatproof.report", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "code": _code,
        "cut": _cut,
        "duration": duration,
        "number": number,
        "share": share,
        "traces": traces,
        "sentence": sentence,
        "label": lambda name: str(name).replace("_", " "),
    }
    environment.globals |= {
        "some": some,
        "accept": deviation_entry,
        "MARKS": MARKS,
        "MEANING": {outcome.value: text for outcome, text in MEANING.items()},
        "ORDER": [outcome.value for outcome in ORDER],
        "VERDICT_MARKS": VERDICT_MARKS,
        "DEFINITIONS": DEFINITIONS,
        "CLOCKS": CLOCKS,
        "RED": [Outcome.FAIL.value, Outcome.STALE.value, Outcome.BROKEN.value],
    }
    return environment


def _part(name: str) -> str:
    return (files("chatproof.report") / "page" / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _code(text: str) -> Markup:
    """Text in which backticks mark code."""
    parts = str(text).split("`")
    if len(parts) % 2 == 0:
        return escape(text)
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if place % 2 else escape(part)
        for place, part in enumerate(parts)
    )


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}... ({len(text)} characters)"
