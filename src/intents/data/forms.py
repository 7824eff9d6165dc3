"""Forms: what makes two utterances one utterance, and two intents' names look alike."""

import re
import unicodedata

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
