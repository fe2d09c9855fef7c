"""What is built is whole: the wheel carries the suite, its scenarios and its schemas, and runs from anywhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GRAFTED = ("conformance", "load", "schemas")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from this checkout; its requirements are not looked at."""
    out = tmp_path_factory.mktemp("wheel")
    words = [
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "--quiet",
        "--wheel-dir",
        str(out),
        str(ROOT),
    ]
    subprocess.run([sys.executable, "-m", *words], check=True)
    return next(out.glob("chatproof-*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which the wheel is installed, far from the checkout."""
    folder = tmp_path_factory.mktemp("installed")
    words = ["pip", "install", "--no-deps", "--no-index", "--quiet", "--target", str(folder), str(wheel)]
    subprocess.run([sys.executable, "-m", *words], check=True)
    return folder


def run(installed: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The installed command, run in a folder of its own."""
    elsewhere = installed / "elsewhere"
    elsewhere.mkdir(exist_ok=True)
    program = "import sys; sys.path.insert(0, sys.argv.pop(1)); from chatproof.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", program, str(installed), *words],
        cwd=elsewhere,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("folder", GRAFTED)
def test_each_folder_is_grafted_whole(wheel: Path, folder: str) -> None:
    """Every file of the folder that is under version control's eye is in the wheel, byte for byte."""
    kinds = (".py", ".toml", ".json", ".md")
    with zipfile.ZipFile(wheel) as packed:
        inside = {
            name.removeprefix("chatproof/"): packed.read(name)
            for name in packed.namelist()
            if name.startswith(f"chatproof/{folder}/")
        }
    here = {
        file.relative_to(ROOT).as_posix(): file.read_bytes()
        for file in (ROOT / folder).rglob("*")
        if file.suffix in kinds
    }

    assert here
    assert inside == here


def test_the_wheel_is_typed_and_licensed(wheel: Path) -> None:
    """Type checkers see its types, and the licence comes along."""
    with zipfile.ZipFile(wheel) as packed:
        names = packed.namelist()

    assert "chatproof/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/"))]


def test_an_installed_copy_finds_its_own_folders(installed: Path) -> None:
    """From another working directory it prints the contract that lies beside it."""
    said = run(installed, "clauses", "--json")

    assert said.returncode == 0, said.stderr
    assert len(json.loads(said.stdout)) > 100


def test_an_installed_copy_runs_its_own_probes(installed: Path) -> None:
    """A check against the embedded reference needs nothing of the checkout."""
    said = run(installed, "check", "--jobs", "2")

    assert said.returncode == 0, said.stdout + said.stderr
    assert said.stdout.splitlines()[-1].startswith("PASS EMBEDDED REFERENCE")


def test_an_installed_copy_is_the_one_that_runs(installed: Path) -> None:
    """The tests above would prove nothing if the checkout answered for it."""
    program = "import chatproof; print(chatproof.__file__)"
    said = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(installed)!r}); {program}"],
        cwd=installed,
        capture_output=True,
        text=True,
        check=True,
    )

    assert Path(said.stdout.strip()).is_relative_to(installed)
