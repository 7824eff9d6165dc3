"""What makes two utterances the same one, what may not be one, and how they are counted out."""

import hashlib
import re
import unicodedata
from collections.abc import Collection, Iterable

import numpy as np
import numpy.typing as npt

from intents.data.problems import Rejected, quoted

MAX_CHARACTERS = 1 << 20
INVISIBLE = {"Cc", "Cf", "Zs", "Zl", "Zp"}
"""Unicode categories of characters that show nothing: controls, formats, spaces."""
_DASHES = dict.fromkeys(map(ord, "‐‒–−"), "-")
"""Other characters that people write for a minus."""
_MEANT = frozenset("#%‰")
"""Punctuation that carries meaning wherever it stands: c# is not c."""
_DECORATION = frozenset("~∼|")
"""Mathematical symbols that are used as punctuation: 在吗~~ is 在吗."""
_UNSEEN_MARKS = frozenset(
    map(
        chr,
        (0x034F, *range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)),
    )
)
"""Marks that show nothing: ❤ with a variation selector is ❤."""
_IN_NUMBERS = re.compile(
    # Between two digits every sign, as in 1.5, 10:30, 1/2, 3~5, but what parts thousands or a list.
    r"((?<=\d)(?:[^\w\s,'’、]|_)+(?=\d)"
    # A minus before a digit, unless it hyphenates a word (covid-19) or belongs to a row of dashes.
    r"|(?<![a-z\-])-(?=\.?\d)"
    # A point before a digit, where a number may begin.
    r"|(?<![^\s\-+$€£¥])\.(?=\d))"
)


Fingerprints = npt.NDArray[np.uint64]


def _number(form: str, *, person: bytes = b"") -> int:
    digest = hashlib.blake2b(form.encode("utf-8", "surrogatepass"), digest_size=8, person=person).digest()
    return int.from_bytes(digest, "big")


MEANING_KEPT = _number("", person=b"meaning kept")
"""Stands among the fingerprints of a model whose normal forms keep symbols; one of before has forms without them."""


def fingerprint(text: str) -> int:
    """A number of 64 bits that all utterances of one normal form share (BLAKE2b).

    Short utterances can be guessed from it: it hides no secret.
    """
    return _number(normal_form(text))


def fingerprints(texts: Iterable[str]) -> Fingerprints:
    """The fingerprints of the utterances, each once, and what tells how they were made, ascending."""
    return np.unique(np.array([MEANING_KEPT, *map(fingerprint, texts)], dtype=np.uint64))


def is_seen(text: str, seen: Collection[int]) -> bool:
    """Whether the fingerprints of a model, whichever forms they are of, have this utterance's among them."""
    return (fingerprint(text) if MEANING_KEPT in seen else _number(_bare_form(text))) in seen


def _bare_form(text: str) -> str:
    """The normal form of models of before: no symbol, and no sign of a number, told two utterances apart."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    kept = [character for character in folded if unicodedata.category(character)[0] not in "PSZC"]
    return "".join(kept) or "".join(folded.split())


def check_string(name: str, value: object) -> Rejected | None:
    """Why `value` can't be a text or a label; None when it can."""
    if value is None:
        return Rejected(f"{name} is missing")
    if not isinstance(value, str):
        return Rejected(f"{name} is not a string", quoted(value))
    if not value.strip():
        return Rejected(f"{name} is blank")
    if not value.isprintable():
        return _check_unprintable(name, value)
    if len(value) > MAX_CHARACTERS:
        return Rejected(f"{name} is too long", f"{len(value)} characters, at most {MAX_CHARACTERS}")
    return None


def _check_unprintable(name: str, value: str) -> Rejected | None:
    if "\0" in value:
        return Rejected(f"{name} holds a NUL character")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return Rejected(f"{name} holds a lone surrogate")
    if len(value) > MAX_CHARACTERS:
        return Rejected(f"{name} is too long", f"{len(value)} characters, at most {MAX_CHARACTERS}")
    if all(unicodedata.category(character) in INVISIBLE for character in value):
        return Rejected(f"{name} is blank", "it has only invisible characters")
    return None


def normal_form(text: str) -> str:
    """What makes two utterances the same: letters, marks, digits and symbols, in NFKC and casefolded.

    Spaces, format characters and ordinary punctuation are dropped, but for the signs of numbers and `#`, `%` and `‰`
    (docs/data.md). An utterance of nothing but punctuation keeps it.
    """
    folded = _folded(text)
    if folded.isalnum():
        return folded
    # Of what is split at a group, each second piece is what the group matched.
    pieces = _IN_NUMBERS.split(folded)
    pieces[::2] = [piece.translate(_KEPT) for piece in pieces[::2]]
    return "".join(pieces) or "".join(folded.split())


def name_form(intent: str) -> str:
    """What two intents' names that look alike share: NFKC, casefolded, without spaces and format characters."""
    return "".join(_folded(intent).split())


def _folded(text: str) -> str:
    """The text in NFKC and casefolded, without what shows nothing."""
    seen = text if text.isalnum() else text.translate(_SEEN)
    return unicodedata.normalize("NFKC", seen).casefold()


class _Seen(dict[int, int | str | None]):
    """What `str.translate` makes of a character before NFKC: None, which drops it, of what shows nothing."""

    def __missing__(self, code: int) -> int | str | None:
        character = chr(code)
        is_unseen = unicodedata.category(character) == "Cf" or character in _UNSEEN_MARKS
        self[code] = None if is_unseen else code
        return self[code]


class _Kept(dict[int, int | None]):
    """What `str.translate` makes of a character of the folded text: None, which drops it, or itself."""

    def __missing__(self, code: int) -> int | None:
        character = chr(code)
        category = unicodedata.category(character)
        # Unassigned and private characters stay: they are the emoji of a later Unicode, and of some devices.
        is_dropped = category[0] in "PZ" or category in {"Cc", "Cf", "Sk"} or character in _DECORATION
        self[code] = None if is_dropped and character not in _MEANT else code
        return self[code]


_SEEN, _KEPT = _Seen(_DASHES), _Kept()


def fraction(form: str, key: bytes) -> float:
    """A number from 0 up to, but not including, 1 that follows from the normal form and the key alone (BLAKE2b)."""
    digest = hashlib.blake2b(form.encode("utf-8"), key=key, digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
