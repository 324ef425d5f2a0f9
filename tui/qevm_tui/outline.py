"""Which rows of a tree are open, for trees with millions of children.

An :class:`Outline` knows no contents: it asks how many children a path has, and maps screen rows to
paths and back.  Only open branches cost memory; a closed one with a million children is one row.
A path is a tuple of child numbers from the (invisible) root.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable

Path = tuple[int, ...]

FAN_OUT = 1000
"""More children than this are shown in ranges of so many, which open when needed."""


class _Branch:
    """One open node: how many children it has and which of those are open."""

    __slots__ = ("count", "keys", "opened", "rows")

    def __init__(self, count: int) -> None:
        self.count = count
        self.opened: dict[int, _Branch] = {}
        self.keys: list[int] = []
        self.rows = count


class Outline:
    """The open branches over a tree whose child counts come from ``count``."""

    def __init__(self, count: Callable[[Path], int]) -> None:
        self._count = count
        self._root = _Branch(count(()))

    @property
    def rows(self) -> int:
        """How many rows there are with everything that is open."""
        return self._root.rows

    def path_at(self, row: int) -> Path:
        """The path of the node that is shown in ``row``."""
        if not 0 <= row < self._root.rows:
            raise IndexError(row)
        branch = self._root
        path: list[int] = []
        while True:
            extra = 0
            below: _Branch | None = None
            for key in branch.keys:
                if row <= key + extra:
                    break
                inner = branch.opened[key]
                if row <= key + extra + inner.rows:
                    path.append(key)
                    row -= key + extra + 1
                    below = inner
                    break
                extra += inner.rows
            if below is None:
                path.append(row - extra)
                return tuple(path)
            branch = below

    def row_of(self, path: Path) -> int:
        """The row of ``path``, or of its nearest ancestor that can be seen."""
        branch = self._root
        row = -1
        for number in path:
            row += 1 + min(number, max(branch.count - 1, 0))
            for key in branch.keys:
                if key >= number:
                    break
                row += branch.opened[key].rows
            below = branch.opened.get(number)
            if below is None:
                break
            branch = below
        return max(row, 0)

    def is_open(self, path: Path) -> bool:
        """True when the children of ``path`` are shown."""
        return self._branch(path) is not None

    def open(self, path: Path) -> None:
        """Show the children of ``path`` and of all above it."""
        for length in range(1, len(path) + 1):
            self._open_one(path[:length])

    def reveal(self, path: Path) -> int:
        """Open all above ``path`` and return its row."""
        self.open(path[:-1])
        return self.row_of(path)

    def close(self, path: Path) -> None:
        """Hide the children of ``path``."""
        parent = self._branch(path[:-1])
        if parent is not None and path[-1] in parent.opened:
            del parent.opened[path[-1]]
            parent.keys.remove(path[-1])
            self._settle()

    def toggle(self, path: Path) -> bool:
        """Open or close ``path``; returns whether it is open now."""
        if self.is_open(path):
            self.close(path)
            return False
        self.open(path)
        return self.is_open(path)

    def recount(self) -> None:
        """Ask again how many children every open branch has (the tree has grown)."""
        stack: list[tuple[Path, _Branch]] = [((), self._root)]
        while stack:
            path, branch = stack.pop()
            branch.count = self._count(path)
            for key in [k for k in branch.keys if k >= branch.count]:
                branch.keys.remove(key)
                del branch.opened[key]
            stack.extend(((*path, key), branch.opened[key]) for key in branch.keys)
        self._settle()

    def shift(self, first: int, by: int) -> None:
        """Top-level nodes from ``first`` on have moved by ``by`` places; their open state moves along."""
        root = self._root
        root.opened = {(k + by if k >= first else k): v for k, v in root.opened.items()}
        root.keys = sorted(root.opened)

    def reset(self) -> None:
        """Close everything."""
        self._root = _Branch(self._count(()))

    def _branch(self, path: Path) -> _Branch | None:
        branch = self._root
        for number in path:
            below = branch.opened.get(number)
            if below is None:
                return None
            branch = below
        return branch

    def _open_one(self, path: Path) -> None:
        parent = self._branch(path[:-1])
        if parent is None or path[-1] in parent.opened:
            return
        count = self._count(path)
        if count:
            parent.opened[path[-1]] = _Branch(count)
            insort(parent.keys, path[-1])
            self._settle()

    def _settle(self) -> None:
        """Sum the visible rows again, deepest branches first."""
        order: list[_Branch] = [self._root]
        for branch in order:
            order.extend(branch.opened.values())
        for branch in reversed(order):
            branch.rows = branch.count + sum(inner.rows for inner in branch.opened.values())


def span_of(count: int) -> int:
    """How many children one range stands for when ``count`` are grouped; 1 when they are not."""
    span = 1
    while count > FAN_OUT * span:
        span *= FAN_OUT
    return span
