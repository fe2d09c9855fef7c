"""What the documentation says is so: its commands run, its lists are complete, its links lead somewhere."""

from __future__ import annotations

import configparser
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chatproof.cli import main
from chatproof.contract import Contract
from chatproof.facts import Fact, fact, response
from chatproof.reference import embedded, target_text
from chatproof.target import read_contract
from chatproof.verdict import EXIT_MEANING, MEANING
from tests.exchanges import sync_answer, terms

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("*/*.md"), *ROOT.glob("docs/*/*.md")]
SHORTER = {"-t 2m": "-t 2s", "--duration 2m": "--duration 2s", "-u 50": "-u 5", "--users 50": "--users 5"}
BIN = Path(sys.executable).parent


def blocks(text: str, language: str) -> list[str]:
    """The code blocks of a page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def commands(text: str) -> list[str]:
    """The commands of a page's console blocks, comments off."""
    lines = [
        line.partition("  #")[0].strip() for block in blocks(text, "console") for line in block.splitlines()
    ]
    return [line for line in lines if line]


COMMANDS = commands(README)
FOR_PYTHON = [line for line in COMMANDS if line.startswith("python3 ")]
SERVERS = [line for line in COMMANDS if line.startswith("chatproof reference")]
RUN = [line for line in COMMANDS if line not in (*FOR_PYTHON, *SERVERS)]


@pytest.fixture(scope="module")
def staging(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in which `staging.toml` names a deployment, as a reader of the page would have it."""
    folder = tmp_path_factory.mktemp("staging")
    with embedded() as running:
        (folder / "staging.toml").write_text(target_text(running.base_url), encoding="utf-8")
        yield folder


def here(command: str, folder: Path) -> list[str]:
    """The command's words, for this machine: shorter, and its files in the folder."""
    for long, short in SHORTER.items():
        command = command.replace(long, short)
    command = command.replace("init staging.toml", "init new.toml")
    for name in ("staging.toml", "new.toml", "reports/"):
        command = command.replace(name, f"{folder}/{name}")
    program, *words = shlex.split(command)
    return [str(BIN / program), *words]


def environment() -> dict[str, str]:
    """This process's, without a target."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("BEATRA_", "PYTEST_"))}


def ran(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """The command, run in the checkout; what it reads and another command of the page writes is written first."""
    if REPORT in command and not (folder / REPORT).exists() and command != WRITES_IT:
        ran(WRITES_IT, folder)
    return subprocess.run(
        here(command, folder),
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


REPORT = "reports/staging"
WRITES_IT = next(line for line in RUN if f"--report {REPORT}" in line)


@pytest.mark.parametrize("command", RUN)
def test_the_readmes_commands_run(command: str, staging: Path) -> None:
    """Against a deployment that conforms, each ends well.

    Where load is measured, two seconds may be too few to judge by, and a busy machine may make the client late.
    """
    said = ran(command, staging)
    ends = (0, 3, 4) if re.search(r"load|gate", command) else (0,)

    assert said.returncode in ends, said.stdout[-3000:] + said.stderr[-3000:]
    assert "Traceback" not in said.stderr


@pytest.mark.parametrize("command", SERVERS)
def test_the_readmes_servers_start(command: str, staging: Path) -> None:
    """The reference says where it listens, and prints a target file for it."""
    words = here(re.sub(r"--port \d+", "--port 0", command), staging)
    with subprocess.Popen(words, env=environment(), stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        first = server.stdout.readline()
        server.terminate()

    assert first.startswith("# serving http://127.0.0.1:")


def test_the_readme_shows_every_command() -> None:
    """A command that the page does not show is not found by who needs it."""
    shown = {line.split()[1] for line in COMMANDS if line.startswith("chatproof ")}

    assert shown == set(main.commands)


def test_the_readmes_tables_are_the_codes_own() -> None:
    """Outcomes and exit codes, word for word."""
    outcomes = "".join(f"| `{outcome}` | {meaning} |\n" for outcome, meaning in MEANING.items())
    codes = "".join(f"| {int(code)} | {meaning} |\n" for code, meaning in EXIT_MEANING.items())

    assert f"| outcome | meaning |\n|---|---|\n{outcomes}\n" in README
    assert f"| code | meaning |\n|---|---|\n{codes}\n" in README


def test_one_line_does_all_set_up() -> None:
    """The page's lines name environments that exist, and the merge check runs the same line."""
    tox = configparser.ConfigParser()
    tox.read(ROOT / "tox.ini", encoding="utf-8")
    merge = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    install, run = "python3 -m pip install tox", 'python3 -m tox run -e "$step"'

    assert [line.removeprefix(f"{install} && ") for line in FOR_PYTHON] == [
        "python3 -m tox run -e gate",
        "python3 -m tox run -e tests",
        "python3 -m tox run -e accuracy",
    ]
    assert all(f"testenv:{name}" in tox for name in ("gate", "tests", "accuracy"))
    assert run in merge
    for step in re.findall(r"^    steps=\((.*)\)$", merge, re.MULTILINE)[0].split():
        assert f"testenv:{step}" in tox


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link of every page names a file, and a heading of it where it names one."""
    for link in re.findall(r"\]\((?!https?:|urn:|mailto:)([^)\s]+)\)", page.read_text(encoding="utf-8")):
        path, _, heading = link.partition("#")
        file = (page.parent / path) if path else page

        assert file.exists(), f"{page.name}: {link}"
        if heading:
            titles = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            assert heading in [re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles], (
                link
            )


# --- docs/adding-a-clause.md -----------------------------------------------------------------------------------

GUIDE = (ROOT / "docs" / "adding-a-clause.md").read_text(encoding="utf-8")


def test_the_guides_clause_is_a_clause() -> None:
    """Its row parses as it stands, and its id is not taken."""
    row = blocks(GUIDE, "toml")[0]
    clause = Contract.parse(row).clauses[0]

    assert clause.id not in read_contract()
    assert tomllib.loads(row)["clause"][0]["section"] in read_contract().sections


@pytest.mark.parametrize(("text", "problems"), [("short", 0), ("x" * 1_000_001, 1)], ids=["short", "long"])
def test_the_guides_fact_judges(text: str, problems: int) -> None:
    """The sample is code that works."""
    space: dict[str, Any] = {**vars(fact), **vars(response), "MOST": 1_000_000}
    exec(blocks(GUIDE, "python")[0], space)
    judge: Fact = space["text_has_a_bound"]
    answer = sync_answer({"choices.0.message.content": text})

    assert judge.of(answer)
    assert len(list(judge.judge(answer, terms()))) == problems
