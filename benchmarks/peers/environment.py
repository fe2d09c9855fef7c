"""An environment for a peer: made on demand, outside the checkout, and kept for the next time. Knows no load."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "chatproof-benchmarks"


def environment(name: str, python: str, packages: Sequence[str]) -> Path:
    """The Python of an environment with these packages; one line and the end where uv or a package is missing.

    uv finds or fetches the Python that the peer wants; pip installs, since pip heeds what the machine says of
    indexes and local wheels. The folder appears under its name only when it is complete.
    """
    uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    if uv is None:
        sys.exit("--peers makes environments with uv: pip install uv")
    folder = CACHE / name
    if (folder / "complete").exists():
        return folder / "bin/python"
    print(f"{name}: making its environment in {folder}", file=sys.stderr)
    made = folder / "bin/python"
    venv = [uv, "venv", "--quiet", "--seed", "--clear", "--python", python, str(folder)]
    _run(f"{name} needs Python {python}, which uv neither found nor could fetch", venv)
    _run(f"{name} cannot be installed", [str(made), "-m", "pip", "install", "--quiet", *packages])
    (folder / "complete").touch()
    return made


def _run(otherwise: str, words: Sequence[str]) -> None:
    done = subprocess.run(words, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"{otherwise}: {done.stderr.strip()[-300:]}")


_TOKENIZER = """
import sys
from tokenizers import Tokenizer, models, pre_tokenizers, decoders
from transformers import PreTrainedTokenizerFast
pre = pre_tokenizers.ByteLevel(add_prefix_space=False)
made = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(sorted(pre.alphabet()))}, merges=[]))
made.pre_tokenizer, made.decoder = pre, decoders.ByteLevel()
PreTrainedTokenizerFast(tokenizer_object=made, eos_token="!").save_pretrained(sys.argv[1])
"""


def tokenizer(python: Path, folder: Path) -> Path:
    """A byte-level tokenizer in a folder: every peer wants one, and none may ask a hub."""
    subprocess.run([str(python), "-c", _TOKENIZER, str(folder)], check=True, capture_output=True)
    return folder
