"""Lines: a file line by line, however long its lines, and what stands where a file is meant."""

from collections.abc import Iterator
from pathlib import Path

from intents.data.problems import Problems
from intents.errors import DataError

MAX_LINE_BYTES = 1 << 20
UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")
UTF_8_MARK = b"\xef\xbb\xbf"


def require_file(path: Path) -> None:
    """Raises DataError unless `path` is a regular file: opening a FIFO would wait for ever."""
    if not path.is_file():
        raise DataError(f"{path}: expected a readable {path.suffix} file, found {_what_it_is(path)}.")


def unreadable(path: Path, error: OSError) -> DataError:
    """The error to raise for a file that can't be read."""
    return DataError(
        f"{path}: can't be read ({error.strerror or error}). Check the file and its permissions."
    )


def numbered_lines(path: Path, problems: Problems) -> Iterator[tuple[int, bytes]]:
    """Numbered lines, ended by \\n alone (U+2028 is text), without the byte-order mark; memory stays bounded.

    Lines that are too long go to `problems`, and so does UTF-16. Raises DataError when the file can't be read.
    """
    require_file(path)
    try:
        with path.open("rb") as handle:
            number = 0
            while line := handle.readline(MAX_LINE_BYTES + 1):
                number += 1
                if number == 1 and _is_utf_16(line):
                    problems.add(path, number, "the file is UTF-16", "save it as UTF-8")
                    return
                if len(line) > MAX_LINE_BYTES:
                    problems.add(path, number, "line too long", f"over {MAX_LINE_BYTES} bytes")
                    while line and not line.endswith(b"\n"):
                        line = handle.readline(MAX_LINE_BYTES)
                    continue
                yield number, line.removeprefix(UTF_8_MARK) if number == 1 else line
    except OSError as error:
        raise unreadable(path, error) from error


def _is_utf_16(start: bytes) -> bool:
    """By its mark, or by a NUL beside the first character, which is never text in UTF-8."""
    return start.startswith(UTF_16_MARKS) or (len(start) > 1 and (start[0] == 0) != (start[1] == 0))


def _what_it_is(path: Path) -> str:
    if path.is_dir():
        return "a directory"
    return "something that is not a regular file" if path.exists() else "nothing"
