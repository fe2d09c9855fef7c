"""Which deployment a command speaks to: flags, target file, environment, else the embedded reference."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from chatproof.preflight import settle
from chatproof.prices import PriceMapError
from chatproof.probe import unknown_key
from chatproof.record import Exchange
from chatproof.reference import Latency, embedded, target_text
from chatproof.run import tariff_of
from chatproof.target import Target, TargetError, load_target, parse_target
from chatproof.verdict import EXIT_MEANING, Exit
from chatproof.wire import Gateway, Unreachable

REFERENCE = "EMBEDDED REFERENCE"
EXIT_CODES = "\b\nExit codes:\n" + "\n".join(f"  {int(code)}  {said}" for code, said in EXIT_MEANING.items())


class Stop(click.ClickException):
    """An end with one clear line and the exit code that goes with it."""

    def __init__(self, message: str, exit_code: Exit) -> None:
        super().__init__(message)
        self.exit_code = int(exit_code)  # type: ignore[misc]  # click reads it of the instance

    def show(self, file: Any = None) -> None:
        """Print the line."""
        click.echo(f"chatproof: {self.message}", err=True)


@dataclass(frozen=True, slots=True)
class Deployment:
    """A target that has answered, and the exchanges of that first look."""

    target: Target
    seed: int
    exchanges: tuple[Exchange, ...]
    embedded: bool


def target_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that name a deployment."""
    command = click.option("--base-url", metavar="URL", help="A deployment's base URL, ending in /v1.")(
        command
    )
    return click.option(
        "--target", "target_file", type=click.Path(path_type=Path), metavar="FILE", help="A target file."
    )(command)


def named_target(target_file: Path | None, base_url: str | None) -> Target | None:
    """The target that options and environment name; a usage error where they cannot be used."""
    try:
        target = load_target(target_file, base_url, os.environ)
        for model in target.models if target else ():
            tariff_of(model)
        return target
    except (TargetError, PriceMapError) as wrong:
        raise Stop(str(wrong), Exit.USAGE) from None


def reference_target(base_url: str, settings: str = "") -> Target:
    """The target of a reference's deployment; `settings` is TOML that a variation carries."""
    text = target_text(base_url) + settings
    return parse_target(text, name=REFERENCE, beside=Path.cwd(), env={})


def new_seed(seed: int | None) -> int:
    """The seed given, else a new one."""
    return random.SystemRandom().getrandbits(48) if seed is None else seed


@contextmanager
def opened(target: Target | None, seed: int | None, latency: Latency | None = None) -> Iterator[Deployment]:
    """The deployment, looked at for the first time; the embedded reference where no target is named."""
    seed = new_seed(seed)
    if target is None:
        with embedded(latency) as reference:
            yield _settled(reference_target(reference.base_url), seed, is_embedded=True)
    else:
        yield _settled(target, seed, is_embedded=False)


def _settled(target: Target, seed: int, *, is_embedded: bool) -> Deployment:
    gateway = Gateway(target, seed=seed, secrets={"unknown_key": unknown_key(seed)})
    try:
        settled = settle(gateway, seed)
    except Unreachable as wrong:
        raise Stop(str(wrong), Exit.INCONCLUSIVE) from None
    finally:
        gateway.close()
    return Deployment(settled, seed, gateway.exchanges, is_embedded)
