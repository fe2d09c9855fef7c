"""`chatproof reference`: the embedded gateway as a server of its own, for clients and demonstrations."""

from __future__ import annotations

from pathlib import Path

import click

from chatproof.cli.deployment import Stop
from chatproof.reference import Latency, serve, target_text
from chatproof.reference.faults import FAULTS
from chatproof.reference.variations import VARIATIONS
from chatproof.verdict import Exit

MS = 1_000_000


@click.command("reference")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0: any free one."
)
@click.option(
    "--fault", "names", multiple=True, metavar="NAME", help="Break it; may be given more than once."
)
@click.option("--list", "listed", is_flag=True, help="List faults and variations, and end.")
@click.option("--ttft-ms", type=click.FloatRange(0), default=Latency().ttft_ns / MS, show_default=True)
@click.option("--gap-ms", type=click.FloatRange(0), default=Latency().gap_ns / MS, show_default=True)
@click.option("--jitter", type=click.FloatRange(0, 1), default=Latency().jitter, show_default=True)
@click.option("--capacity", type=click.IntRange(1), default=Latency().capacity, show_default=True)
@click.option(
    "--truth-file", type=click.Path(path_type=Path), help="Append what was really sent, as JSON lines."
)
def command(
    port: int,
    names: tuple[str, ...],
    listed: bool,
    ttft_ms: float,
    gap_ms: float,
    jitter: float,
    capacity: int,
    truth_file: Path | None,
) -> None:
    """Serve the reference gateway on loopback until interrupted; --fault breaks it."""
    if listed:
        for kind, known in (("fault", FAULTS), ("variation", VARIATIONS)):
            for name, value in known.items():
                click.echo(f"{kind:<10} {name:<44} {value.sentence}")
        return
    for name in names:
        if name not in FAULTS and name not in VARIATIONS:
            raise Stop(f"no fault or variation is named {name!r}: chatproof reference --list", Exit.USAGE)
    latency = Latency(round(ttft_ms * MS), round(gap_ms * MS), jitter, capacity)

    def ready(root: str) -> None:
        kind = "variations" if names and names[0] in VARIATIONS else "faults"
        base_url = f"{root}/{kind}/{'+'.join(names)}/v1" if names else f"{root}/v1"
        click.echo(f"# serving {base_url}; end with Ctrl-C. A target file for it:\n")
        click.echo(target_text(base_url))

    try:
        serve("127.0.0.1", port, latency, truth_file, ready, False)
    except OSError as wrong:
        raise Stop(
            f"port {port} cannot be used: {wrong.strerror}: name another with --port", Exit.USAGE
        ) from None
