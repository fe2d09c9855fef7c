"""The command line: parses and calls."""

from __future__ import annotations

import errno
import traceback
from typing import Any

import click

from chatproof import __version__
from chatproof.cli import check, clauses, gate, init, load, prove, reference, replay
from chatproof.cli.deployment import EXIT_CODES, Stop
from chatproof.verdict import Exit


class Commands(click.Group):
    """Commands that end by the table of exit codes even when interrupted, or broken by a fault of ours."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was named."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise Stop("interrupted: nothing was judged", Exit.INCONCLUSIVE) from None
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as wrong:  # Python would end with 1, which says that the target does not conform
            if isinstance(wrong, OSError) and wrong.errno == errno.EPIPE:
                raise
            traceback.print_exc()
            ours = "the lines above show a fault of chatproof itself, not of the deployment; please report it"
            raise Stop(ours, Exit.INVALID) from None


@click.group(
    cls=Commands,
    epilog=EXIT_CODES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(__version__, prog_name="chatproof")
def main() -> None:
    """Prove that a chat API deployment keeps its contract, and measure how fast it streams."""


for _module in (check, gate, load, replay, prove, clauses, init, reference):
    main.add_command(_module.command)
