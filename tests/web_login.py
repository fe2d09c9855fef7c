"""A locustfile beside a scenario's: someone who may log in to the web UI, as locust's documentation has it."""

from __future__ import annotations

from typing import Any

from flask import redirect
from flask_login import UserMixin, login_user  # type: ignore[import-untyped]
from locust import events


class Someone(UserMixin):  # type: ignore[misc]
    """Whoever comes."""

    def get_id(self) -> str:
        """The same for all."""
        return "someone"


@events.init.add_listener  # type: ignore[untyped-decorator]
def add_login(environment: Any, **_: Any) -> None:
    """Lets in whoever posts to /enter."""
    web_ui = environment.web_ui
    web_ui.login_manager.user_loader(lambda _: Someone())
    web_ui.app.secret_key = "of this test"

    @web_ui.app.route("/enter", methods=["POST"])  # type: ignore[untyped-decorator]
    def enter() -> Any:
        login_user(Someone())
        return redirect("/")
