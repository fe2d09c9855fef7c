"""`docs/clauses.md`: written from the contract, and where the links of reports lead."""

from __future__ import annotations

import re
from pathlib import Path

from click.testing import CliRunner

from chatproof.cli import main
from chatproof.report import allure
from chatproof.target import read_contract

PAGE = Path(__file__).parents[1] / "docs" / "clauses.md"


def test_page_is_what_the_command_prints() -> None:
    """The page in the docs is that of the contract as it is; else: chatproof clauses --markdown > docs/clauses.md."""
    printed = CliRunner().invoke(main, ["clauses", "--markdown"])

    assert printed.output == PAGE.read_text(encoding="utf-8")


def test_links_of_reports_lead_to_a_heading() -> None:
    """Each clause's link in Allure names the page and the anchor of a heading in it."""
    headings = {
        f"docs/clauses.md#{text.lower()}" for text in re.findall(r"^### (.+)$", PAGE.read_text(), re.M)
    }

    assert {allure.link(clause.id) for clause in read_contract()} == headings
