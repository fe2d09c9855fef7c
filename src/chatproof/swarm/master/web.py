"""The page /chatproof in locust's web UI, its data, and what leads to it. Shows; computes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.resources import files
from typing import Any

from flask import Blueprint, Response, jsonify, request

from chatproof.swarm.master.conductor import Conductor
from chatproof.swarm.master.output import finite

TAB = "chatproof"
LINK = "TTFT, gaps, endings and client health over time: the page /chatproof"
# locust's tabs hold text only, and its start form has none: the link stands above whatever its page shows
_STYLE = "display:block;padding:6px 24px;background:#1f6feb;color:#fff;font:15px/1.45 system-ui,sans-serif"
_BAR = f"""<body><a id="chatproof" href="./chatproof" style="{_STYLE}">\
chatproof: time to first token, gaps, endings and client health, live</a>"""


def add_page(web_ui: Any, conductor: Callable[[], Conductor | None], base_path: str = "") -> None:
    """Adds page, data, link and tab to a web UI that has not started yet; behind its login where it has one."""
    pages = Blueprint("chatproof", __name__, url_prefix=base_path or None)
    html = files("chatproof.swarm.master").joinpath("live.html").read_text(encoding="utf-8")

    @pages.route("/chatproof")
    @web_ui.auth_required_if_enabled  # type: ignore[untyped-decorator]
    def page() -> Response:
        return Response(html, mimetype="text/html")

    @pages.route("/chatproof/data")
    @web_ui.auth_required_if_enabled  # type: ignore[untyped-decorator]
    def data() -> Response:
        return jsonify(finite(state(conductor())))

    web_ui.app.register_blueprint(pages)
    structure = [{"key": "name", "title": "Figure"}, {"key": "value", "title": "Value"}]
    web_ui.template_args |= {
        "extended_tabs": [{"title": "chatproof", "key": TAB}],
        "extended_tables": [{"key": TAB, "structure": structure}],
        "extended_csv_files": [{"href": "./chatproof", "title": LINK}],
    }

    def with_ours(response: Response) -> Response:
        if request.endpoint == "locust.index" and response.mimetype == "text/html":
            response.set_data(response.get_data(as_text=True).replace("<body>", _BAR, 1))
        elif request.endpoint == "locust.request_stats" and response.is_json:
            found = conductor()
            figures = found.live.table() if found is not None else []
            told = {**response.get_json(), "extended_stats": [{"key": TAB, "data": figures}]}
            response.set_data(json.dumps(told))
        return response

    web_ui.app.after_request(with_ours)


def state(conductor: Conductor | None) -> dict[str, Any]:
    """What the page asks for every second."""
    if conductor is None or conductor.ledger is None:
        return {"state": "no run yet"}
    ledger, verdict = conductor.ledger, conductor.verdict
    return {
        "state": "running" if conductor.running or conductor.finishing else "ended",
        "scenario": conductor.scenario,
        "target": "EMBEDDED REFERENCE" if conductor.embedded else conductor.target.base_url,
        "model": conductor.model,
        "running": ledger.running,
        "total": len(ledger.rows),
        "verdict": verdict.name if verdict is not None and verdict.exit != 2 else None,
        "why": verdict.why if verdict is not None else None,
        "violations": {name: tally.violations for name, tally in ledger.tallies.items() if tally.violations},
        **conductor.live.series(ledger.health, conductor.asked_at, conductor.whole_seconds),
    }
