"""Stands between Python and the disk: sees every operation below a folder, may end the process there or fail it, and
says what a power cut after any of them could leave.

What is seen are the system's own calls as Python makes them (`os`, `open`, writes to files opened that way, and the
exchange of two names), so a program that is watched needs to know nothing of it.
"""

import builtins
import contextlib
import functools
import io
import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from registry import disk

BY_PATH = ("mkdir", "rmdir", "unlink", "remove", "chmod", "readlink", "scandir", "listdir", "statvfs")
BY_TWO_PATHS = ("rename", "replace")


@dataclass(frozen=True)
class Operation:
    """One call. `paths` are absolute; `content` is a link's text, or the file's bytes when it was synced."""

    call: str
    paths: tuple[str, ...]
    content: Any = None


@contextlib.contextmanager
def watched(
    folder: Path, before: Callable[[Operation], None], after: Callable[[Operation], None] = lambda _: None
) -> Iterator[None]:
    """Calls `before` ahead of each operation below the folder, and `after` when it succeeded."""
    watch = functools.partial(_watching, os.path.realpath(folder), before, after)
    standing_in: list[tuple[Any, str, Callable[..., Any]]] = [
        *((os, call, watch(call, getattr(os, call), _one)) for call in (*BY_PATH, "open")),
        *((os, call, watch("rename", getattr(os, call), _two)) for call in BY_TWO_PATHS),
        (os, "symlink", watch("symlink", os.symlink, _second)),
        (os, "fsync", watch("fsync", os.fsync, _descriptor)),
        (disk, "exchange", watch("exchange", disk.exchange, _two)),
        *((module, "open", watch("open", builtins.open, _one)) for module in (io, builtins)),
    ]
    originals = [(module, name, getattr(module, name)) for module, name, _ in standing_in]
    for module, name, function in standing_in:
        setattr(module, name, function)
    try:
        yield
    finally:
        for module, name, function in originals:
            setattr(module, name, function)


def _watching(
    root: str,
    before: Callable[[Operation], None],
    after: Callable[[Operation], None],
    call: str,
    function: Callable[..., Any],
    paths: Callable[..., list[str]],
) -> Callable[..., Any]:
    """The function, which tells of each operation below `root` on the paths that `paths` finds in its arguments."""

    def watching(*arguments: Any, **named: Any) -> Any:
        found = tuple(_absolute(path, named.get("dir_fd")) for path in paths(*arguments))
        if not any(path == root or path.startswith(f"{root}/") for path in found):
            return function(*arguments, **named)
        operation = Operation(call, found, str(arguments[0]) if call == "symlink" else None)
        before(operation)
        if call == "fsync":
            is_file = os.path.isfile(found[0])
            operation = Operation(call, found, Path(found[0]).read_bytes() if is_file else None)
        result = function(*arguments, **named)
        after(operation)
        if call == "open" and not isinstance(result, int) and result.writable():
            return _Written(result, found, before)
        return result

    return watching


def _one(path: Any = ".", *_: Any) -> list[str]:
    return [path]


def _two(source: Any, destination: Any, *_: Any) -> list[str]:
    return [source, destination]


def _second(_: Any, path: Any, *__: Any) -> list[str]:
    return [path]


def _descriptor(number: int) -> list[str]:
    return [os.readlink(f"/proc/self/fd/{number}")]


class _Written:
    """An open file whose writes are seen too."""

    def __init__(self, file: Any, paths: tuple[str, ...], before: Callable[[Operation], None]) -> None:
        self._file, self._paths, self._before = file, paths, before

    def __enter__(self) -> "_Written":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def write(self, content: Any) -> Any:
        self._before(Operation("write", self._paths))
        return self._file.write(content)


def _absolute(path: Any, folder: int | None) -> str:
    if isinstance(path, int):
        return _real_readlink(f"/proc/self/fd/{path}")
    text = os.fsdecode(path)
    base = _real_readlink(f"/proc/self/fd/{folder}") if folder is not None else os.getcwd()
    whole = os.path.join(base, text)
    return os.path.join(os.path.realpath(os.path.dirname(whole)), os.path.basename(whole))


_real_readlink = os.readlink


@dataclass(eq=False)
class Node:
    """A file (`content`), a link (`text`) or a folder (`names`), as it is now and as it is on the disk."""

    kind: str
    content: bytes = b""
    text: str = ""
    names: dict[str, "Node"] = field(default_factory=dict)
    names_on_disk: dict[str, "Node"] = field(default_factory=dict)


class PowerCut:
    """A folder's operations replayed on a model of a disk that keeps nothing it was not told to keep.

    A file's bytes are on the disk once the file was synced, a name once its folder was. What was not synced may be
    there or not: `states` gives none of the names, all of them, and each alone; contents that were not synced are
    always missing, which is the worst that can be.
    """

    def __init__(self, root: Path) -> None:
        self.root_path = os.path.realpath(root)
        self.root = _read(Path(self.root_path))

    def apply(self, operation: Operation) -> None:
        paths = [self._split(path) for path in operation.paths]
        folder, name = paths[0]
        if folder is None:
            return
        match operation.call:
            case "mkdir":
                folder.names[name] = Node("folder")
            case "symlink":
                folder.names[name] = Node("link", text=operation.content)
            case "open" if name:
                folder.names.setdefault(name, Node("file"))
            case "unlink" | "remove" | "rmdir":
                folder.names.pop(name)
            case "rename":
                other, new = paths[1]
                other.names[new] = folder.names.pop(name)
            case "exchange":
                other, new = paths[1]
                folder.names[name], other.names[new] = other.names[new], folder.names[name]
            case "fsync":
                node = folder.names[name] if name else self.root
                if node.kind == "folder":
                    node.names_on_disk = dict(node.names)
                else:
                    node.content = operation.content

    def states(self) -> Iterator[Callable[[Path], None]]:
        """Each gives a function that writes what the disk would hold to an empty place."""
        pending = [
            (folder, name)
            for folder in self._folders(self.root)
            for name in sorted({*folder.names, *folder.names_on_disk})
            if folder.names.get(name) is not folder.names_on_disk.get(name)
        ]
        for kept in ([], *([change] for change in pending), pending):
            yield lambda place, kept=kept: _write(self.root, place, kept)

    def _split(self, path: str) -> tuple[Any, str]:
        if path == self.root_path:
            return self.root, ""
        if not path.startswith(f"{self.root_path}/"):
            return None, ""
        *parents, name = path.removeprefix(f"{self.root_path}/").split("/")
        node = self.root
        for parent in parents:
            node = node.names[parent]
        return node, name

    def _folders(self, node: Node) -> list[Node]:
        below = {id(child): child for child in (*node.names.values(), *node.names_on_disk.values())}
        found = [self._folders(child) for child in below.values() if child.kind == "folder"]
        return list({id(folder): folder for folder in itertools.chain([node], *found)}.values())


def _read(path: Path) -> Node:
    if path.is_symlink():
        return Node("link", text=os.readlink(path))
    if path.is_file():
        return Node("file", content=path.read_bytes())
    names = {child.name: _read(child) for child in path.iterdir()}
    return Node("folder", names=names, names_on_disk=dict(names))


def _write(node: Node, place: Path, kept: list[tuple[Node, str]]) -> None:
    if node.kind == "link":
        place.symlink_to(node.text)
    elif node.kind == "file":
        place.write_bytes(node.content)
    else:
        place.mkdir(exist_ok=True)
        names = dict(node.names_on_disk)
        for name in [name for folder, name in kept if folder is node]:
            names.pop(name, None)
            names |= {name: node.names[name]} if name in node.names else {}
        for name, child in names.items():
            _write(child, place / name, kept)


def empty(folder: Path) -> Path:
    """The folder, with nothing in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
