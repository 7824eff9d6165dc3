"""Lines: a file line by line, however long its lines and however it is written, and what stands where one is meant."""

import codecs
import functools
import io
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from intents.data.formats.encodings import GB18030, is_gb18030
from intents.data.problems import Problems, Rejected
from intents.errors import DataError

BLOCK_BYTES = 1 << 20
MAX_LINE_BYTES = 1 << 20
UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")
UTF_8_MARK = b"\xef\xbb\xbf"
FOREIGN_SHARE = 0.1
"""Of the lines: from so many that are not UTF-8 on, and most of those beyond ASCII, the file as a whole is not."""
SAVE_AS_UTF_8 = "save it as UTF-8 (in Excel: CSV UTF-8)"


@dataclass(frozen=True)
class Writing:
    """How a file is written, as all its bytes say."""

    lines: int
    is_utf_8: bool = True
    """Otherwise GB18030."""
    line_end: bytes = b"\n"
    """\\r where the file has no \\n."""
    rejected: Rejected | None = None
    """Why none of its lines can be read."""
    rejected_line: int = 1

    @property
    def notes(self) -> list[str]:
        """What a person should know of it."""
        return [] if self.is_utf_8 else ["it is not UTF-8 and was read as GB18030 (GBK), by all its bytes"]


def named(path: str) -> Path:
    """The path that a person wrote; ~ is their home, where there is one."""
    return Path(os.path.expanduser(path.strip()))


def require_file(path: Path) -> None:
    """Raises DataError unless `path` is a regular file: opening a FIFO would wait for ever."""
    require_name(path)
    if not path.is_file():
        raise DataError(f"{path}: expected a readable {path.suffix} file, found {_what_it_is(path)}.")


def require_name(path: Path) -> None:
    """Raises DataError unless the path is UTF-8: nothing that logs it, or writes it down, could hold it."""
    if shown(path) != str(path):
        raise DataError(
            f"{shown(path)}: expected a name in UTF-8; each \\udc.. is a byte that is not. "
            "Rename the file or its folder."
        )


def shown(path: Path) -> str:
    """The path as it can be printed: bytes that are not UTF-8 as \\udc.."""
    return str(path).encode("utf-8", "backslashreplace").decode()


def place_looked_at(path: Path) -> str:
    """Where a path leads that a person may have meant from elsewhere; "" where it says so itself."""
    if path.is_absolute():
        return ""
    return f" at {shown(path.absolute())} (relative paths are taken from {shown(Path.cwd())})"


def unreadable(path: Path, error: OSError) -> DataError:
    """The error to raise for a file that can't be read."""
    return DataError(
        f"{path}: can't be read ({error.strerror or error}). Check the file and its permissions."
    )


def writing(path: Path) -> Writing:
    """How the file is written. Raises DataError when it can't be read."""
    require_file(path)
    try:
        with path.open("rb") as handle:
            return _writing(handle)
    except OSError as error:
        raise unreadable(path, error) from error


def numbered_lines(path: Path, problems: Problems) -> Iterator[tuple[int, bytes]]:
    """Numbered lines in UTF-8, ended by \\n alone (U+2028 is text), without the byte-order mark.

    A file without \\n has lines that end in \\r. Memory stays bounded: lines that are too long go to `problems`. So
    does, once, a file in another encoding, unless it is certainly Chinese in GB18030. Raises DataError when the file
    can't be read.
    """
    how = writing(path)
    if how.rejected:
        problems.add(path, how.rejected_line, kind=how.rejected.kind, detail=how.rejected.detail)
        return
    for note in how.notes:
        problems.note(f"{path}: {note}")
    try:
        with path.open("rb") as handle:
            number = 0
            read_line = _line_reader(handle, how)
            while line := read_line(MAX_LINE_BYTES + 1):
                number += 1
                if len(line) > MAX_LINE_BYTES:
                    problems.add(path, number, kind="line too long", detail=f"over {MAX_LINE_BYTES} bytes")
                    while line and not line.endswith(b"\n"):
                        line = read_line(MAX_LINE_BYTES)
                    continue
                line = line if how.is_utf_8 else _in_utf_8(line)
                yield number, line.removeprefix(UTF_8_MARK) if number == 1 else line
    except OSError as error:
        raise unreadable(path, error) from error


def _line_reader(handle: BinaryIO, how: Writing) -> Callable[[int], bytes]:
    """Reads at most so many bytes of a line; its end is \\n whatever the file's is."""
    if how.line_end == b"\n":
        return handle.readline
    text = io.TextIOWrapper(handle, encoding="latin-1", newline="\r")  # a character a byte
    return lambda limit: text.readline(limit).encode("latin-1").replace(b"\r", b"\n")


def _in_utf_8(line: bytes) -> bytes:
    try:
        return line.decode(GB18030).encode("utf-8")
    except UnicodeError:  # the file has changed since all of it was looked at
        return line


def _writing(handle: BinaryIO) -> Writing:
    if _is_utf_16(handle.read(2)):
        return Writing(1, rejected=Rejected("the file is UTF-16", SAVE_AS_UTF_8))
    handle.seek(0)
    decoder = codecs.getincrementaldecoder("utf-8")()
    newlines, returns, is_utf_8, block = 0, 0, True, b""
    for block in _blocks(handle):
        newlines += block.count(b"\n")
        returns += 0 if newlines else block.count(b"\r")
        is_utf_8 = is_utf_8 and _decodes(decoder, block)
    is_utf_8 = is_utf_8 and _decodes(decoder, b"", final=True)
    line_end = b"\n" if newlines or not returns else b"\r"
    how = Writing((newlines or returns) + (not block.endswith(line_end)), line_end=line_end)
    return how if is_utf_8 else _in_another_encoding(handle, how)


def _in_another_encoding(handle: BinaryIO, how: Writing) -> Writing:
    handle.seek(0)
    if is_gb18030(_blocks(handle)):
        return Writing(how.lines, is_utf_8=False, line_end=how.line_end)
    handle.seek(0)
    first = wrong = right = 0
    detail = ""
    for number, line in enumerate(
        iter(functools.partial(_line_reader(handle, how), BLOCK_BYTES), b""), start=1
    ):
        if line.isascii():
            continue
        try:
            line.decode("utf-8")
            right += 1
        except UnicodeDecodeError as error:
            wrong += 1
            first, detail = (first, detail) if first else (number, f"byte {error.start}")
    if wrong < 2 or wrong <= right or wrong < FOREIGN_SHARE * how.lines:
        return how  # single lines are damaged
    rejected = Rejected("the file is not UTF-8", f"{detail}, and {wrong - 1:,} more lines; {SAVE_AS_UTF_8}")
    return Writing(how.lines, line_end=how.line_end, rejected=rejected, rejected_line=first)


def _decodes(decoder: codecs.IncrementalDecoder, block: bytes, *, final: bool = False) -> bool:
    try:
        decoder.decode(block, final)
    except UnicodeDecodeError:
        return False
    return True


def _blocks(handle: BinaryIO) -> Iterator[bytes]:
    return iter(lambda: handle.read(BLOCK_BYTES), b"")


def _is_utf_16(start: bytes) -> bool:
    """By its mark, or by a NUL beside the first character, which is never text in UTF-8."""
    return start.startswith(UTF_16_MARKS) or (len(start) > 1 and (start[0] == 0) != (start[1] == 0))


def _what_it_is(path: Path) -> str:
    if path.is_dir():
        return "a directory"
    return "something that is not a regular file" if path.exists() else f"nothing{place_looked_at(path)}"


def lines_and_notes(path: Path) -> tuple[int, list[str]]:
    """How many lines a file has, and what a person should know of how it is written. Raises DataError."""
    how = writing(path)
    if how.rejected:
        raise DataError(f"{path}:{how.rejected_line}: {how.rejected.kind}: {how.rejected.detail}.")
    return how.lines, [f"{path}: {note}" for note in how.notes]
