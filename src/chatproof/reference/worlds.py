"""Which worlds there are: the clean one, and one for each fault, variation or sum of them, made lazily."""

from __future__ import annotations

from collections.abc import Mapping

from .call import Marked, World
from .faults import FAULTS
from .variations import VARIATIONS
from .vocabulary import Fault, Variation

_SHELVES: dict[str, Mapping[str, Fault | Variation]] = {"faults": FAULTS, "variations": VARIATIONS}


class Worlds:
    """The worlds of one process by path: ``""``, ``/faults/NAME``, ``/faults/A+B``, ``/variations/NAME``."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self.clean = World("", (), capacity)
        self._made = {"": self.clean}

    def at(self, path: str) -> World | None:
        """The world at a path, or None where a name is not known."""
        if path not in self._made:
            _, shelf, names = path.split("/")
            known = _SHELVES[shelf]
            if not all(name in known for name in names.split("+")):
                return None
            changes = [Marked(name, change) for name in names.split("+") for change in known[name].changes]
            self._made[path] = World(path, changes, self._capacity)
        return self._made[path]
