"""The house's layers, read from the import statements: a lower row may import a higher one, never the reverse."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "chatproof"

LAYERS = (
    "record sse contract decode target",
    "asked answer redact money linear_charge incremental outcome verdict gate facts metrics",
    "schemas prices evidence har tls wire conversation probe balance turns preflight run pytest_rows check rehearsal "
    "proof replay reference swarm report",
    "cli conformance load",
    "__main__",
)
SEAMS = ""  # the modules that are in no room: what ties a run to locust
SWARM = ("client", "asking", "streams", "worker", "compare", "master", SEAMS)
AT_LOCUST = {"users", "wiring", "worker.worker_side", "master.master_side", "master.muster"}
COMMANDS = LAYERS[-2].split()
ROW = {part: row for row, parts in enumerate(LAYERS) for part in parts.split()}
PURE = [part for row in LAYERS[:2] for part in row.split()]
READ_FILES = (  # or name them
    "chatproof.target.reading",
    "chatproof.target.places",
    "chatproof.target.deployment",
)
IMPURE = (
    "asyncio aiohttp builtins gevent glob http httpcore httpx io locust logging multiprocessing os pathlib platform "
    "requests select selectors shutil signal socket ssl subprocess sys tempfile threading time urllib.request"
)


def names(top: Path) -> dict[str, Path]:
    """Every module below a folder by its dotted name."""
    found = {}
    for file in sorted(top.rglob("*.py")):
        parts = file.relative_to(top.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


MODULES = {**names(PACKAGE), **names(ROOT / "conformance"), **names(ROOT / "load")}


def imports(name: str, *, for_types: bool = True) -> Iterator[str]:
    """The modules that a module names in its import statements, those inside functions too."""
    file = MODULES[name]
    package = name.split(".") if file.name == "__init__.py" else name.split(".")[:-1]
    tree = ast.parse(file.read_text(encoding="utf-8"))
    guards = [n for n in ast.walk(tree) if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING"]
    only_types = {inner for guard in guards for inner in ast.walk(guard)}
    for node in ast.walk(tree):
        if node in only_types and not for_types:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                below = f"{source}.{alias.name}"
                yield below if below in MODULES else source


def part(name: str) -> str:
    """The module or package of the table that a dotted name belongs to; "" for what is not ours."""
    top, _, rest = name.partition(".")
    return rest.partition(".")[0] if top == "chatproof" else top if top in ("conformance", "load") else ""


def test_every_part_has_its_row() -> None:
    """The table names all there is."""
    assert {part(name) for name in MODULES} - {""} <= set(ROW)


def test_no_row_imports_a_lower_one() -> None:
    """Edges import judgement, judgement imports vocabulary; never the reverse."""
    upward = [
        f"{name} imports {other}"
        for name in MODULES
        for other in imports(name)
        if part(name) and part(other) and ROW[part(other)] > ROW[part(name)]
    ]

    assert upward == []


def test_commands_keep_apart() -> None:
    """`cli`, `conformance` and `load` never import each other."""
    crossed = [
        f"{name} imports {other}"
        for name in MODULES
        for other in imports(name)
        if part(name) in COMMANDS and part(other) in COMMANDS and part(other) != part(name)
    ]

    assert crossed == []


def test_no_module_imports_itself_by_a_way_round() -> None:
    """There is no cycle among modules, once types are checked."""
    graph = {name: {*imports(name, for_types=False)} & set(MODULES) - {name} for name in MODULES}
    try:
        order = list(TopologicalSorter(graph).static_order())
    except CycleError as cycle:
        pytest.fail(" -> ".join(cycle.args[1]))

    assert len(order) == len(MODULES)


def test_judge_and_oracle_share_nothing() -> None:
    """The reference gateway imports nothing of the suite: both could have the same bug otherwise."""
    shared = [
        f"{name} imports {other}"
        for name in MODULES
        for other in imports(name)
        if part(name) == "reference" and other.startswith("chatproof") and part(other) != "reference"
    ]

    assert shared == []


def test_vocabulary_and_judgement_are_pure() -> None:
    """No clock, file, socket, process or environment is within reach of what judges."""
    impure = [
        f"{name} imports {other}"
        for name in MODULES
        for other in imports(name)
        if part(name) in PURE
        and name not in READ_FILES
        and {other, other.partition(".")[0]} & set(IMPURE.split())
    ]

    assert impure == []


def test_each_room_of_the_load_half_sees_only_those_before_it() -> None:
    """The client knows no chat, a worker no master: what they say of each other goes over the wire."""
    rooms = {name: name.split(".")[2] for name in MODULES if name.count(".") == 3 and ".swarm." in name}
    upward = [
        f"{name} imports {other}"
        for name, room in rooms.items()
        for other in imports(name)
        if other.startswith("chatproof.swarm.") and SWARM.index(room) < SWARM.index(rooms.get(other, SEAMS))
    ]

    assert set(rooms.values()) == {room for room in SWARM if room != SEAMS}
    assert upward == []


def test_only_load_patches_the_process() -> None:
    """Importing locust or gevent changes the process: only `swarm/` and `load/` may, and the command does not."""
    importers = {
        part(name)
        for name in MODULES
        for other in imports(name)
        if other.partition(".")[0] in ("locust", "gevent")
    }
    loaded = "import sys, chatproof.cli; print(*sorted({'locust', 'gevent'} & set(sys.modules)))"
    said = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)

    by_name = {name for name in MODULES for other in imports(name) if other.partition(".")[0] == "locust"}

    assert importers <= {"swarm", "load"}
    assert {name.partition("swarm.")[2] for name in by_name if ".swarm." in name} == AT_LOCUST
    assert said.stdout.strip() == ""
