"""The command line: parses and calls."""

from __future__ import annotations

import click

from chatproof import __version__
from chatproof.cli import check, clauses, init, prove, reference


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="chatproof")
def main() -> None:
    """Prove that a chat API deployment keeps its contract, and measure how fast it streams."""


for _module in (check, clauses, init, prove, reference):
    main.add_command(_module.command)
