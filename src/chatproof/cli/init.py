"""`chatproof init`: writes a commented target file."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import click

from chatproof.cli.deployment import Stop
from chatproof.target import TargetError, starter_text
from chatproof.verdict import Exit


@click.command("init")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), default="target.toml")
@click.option("--base-url", metavar="URL", help="The deployment's base URL, ending in /v1.")
def command(file: Path, base_url: str | None) -> None:
    """Write a commented target FILE (target.toml) to fill in; an existing one is left alone."""
    try:
        text = starter_text(base_url, today=date.today())
        with file.open("x", encoding="utf-8") as out:
            out.write(text)
    except TargetError as wrong:
        raise Stop(str(wrong), Exit.USAGE) from None
    except FileExistsError:
        raise Stop(f"{file} is there already: remove it, or name another file", Exit.USAGE) from None
    except OSError as wrong:
        raise Stop(f"{file} cannot be written: {wrong.strerror}", Exit.USAGE) from None
    click.echo(f"wrote {file}: fill it in, then run: chatproof check --target {file}")
