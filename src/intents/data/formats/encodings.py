"""Encodings: whether bytes that are not UTF-8 are certainly Chinese, as Excel's "CSV" saves it in China (GB18030)."""

import codecs
from collections import Counter
from collections.abc import Iterable

GB18030 = "gb18030"
CHARACTERS_JUDGED = 1 << 20
FEWEST_CHARACTERS = 16
"""Beyond ASCII: what fewer say is an accident."""
EVERYDAY_SHARE = 0.9
"""Of everyday characters, at least. Chinese has 0.97 and more; UTF-8, Big5, cp1252, cp1251, EUC-JP at most 0.4."""
COMMONEST_SHARE = 0.15
"""Of the commonest among the ideographs, at least. Chinese has 0.37 and more, Korean (EUC-KR) and KOI8-R under 0.08."""
COMMONEST = frozenset(
    "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里"
    "用道行所然家种事成方多经么去法学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实"
)


def is_gb18030(blocks: Iterable[bytes]) -> bool:
    """Whether all the bytes are GB18030, and what they say is Chinese by its characters and how common they are."""
    decoder = codecs.getincrementaldecoder(GB18030)()
    counts: Counter[str] = Counter()
    judged = 0
    try:
        for block in blocks:
            text = decoder.decode(block)
            if judged < CHARACTERS_JUDGED:
                counts.update(text)
                judged += len(text)
        decoder.decode(b"", True)
    except UnicodeDecodeError:
        return False
    return _is_chinese({character: count for character, count in counts.items() if not character.isascii()})


def _is_chinese(counts: dict[str, int]) -> bool:
    beyond_ascii = sum(counts.values())
    everyday = sum(count for character, count in counts.items() if _is_everyday(character))
    ideographs = sum(count for character, count in counts.items() if "\u4e00" <= character <= "\u9fff")
    commonest = sum(count for character, count in counts.items() if character in COMMONEST)
    return (
        beyond_ascii >= FEWEST_CHARACTERS
        and everyday >= EVERYDAY_SHARE * beyond_ascii
        and commonest >= COMMONEST_SHARE * ideographs
    )


def _is_everyday(character: str) -> bool:
    """Whether it is Chinese punctuation, full-width, or one of the 3,755 ideographs of GB 2312's first level."""
    encoded = character.encode("gb2312", "ignore")
    return len(encoded) == 2 and (0xB0 <= encoded[0] <= 0xD7 or encoded[0] in (0xA1, 0xA3))
