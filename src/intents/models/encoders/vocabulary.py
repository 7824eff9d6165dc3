"""A vocabulary cut to a corpus: the tokens that it and its like are written in, and no others.

A multilingual encoder's token table is most of its weight (e5: 96 of 118 million parameters), and a corpus uses a few
percent of it. Pieces are chosen by the most likely path (Unigram) or the longest match (WordPiece): a text whose
pieces are all kept is cut into the same pieces as before and so gets the same logits; any other is spelled by smaller
ones, down to single characters, and by its bytes, or else the unknown token, where the whole vocabulary lacks a
character or the corpus its script.
"""

import functools
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import Any

from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

TARGET_TOKENS = 22_000
"""The most frequent pieces of the corpus's scripts are kept up to so many tokens: as many as leave e5 below 130 MB."""
MARKS = ("▁", "##")
"""What tokenizers set before pieces that begin, or go on with, a word."""
BYTE = re.compile("<0x[0-9A-F]{2}>")
"""What a tokenizer with `byte_fallback` spells a character by that has no piece of its own."""
ROLES = ("bos_token", "cls_token", "pad_token", "eos_token", "sep_token", "unk_token", "mask_token")


def obstacle(tokenizer: Any) -> str:
    """What keeps tokens from being left out of it; nothing where the other pieces stay what they are."""
    model = _state(tokenizer)["model"]
    if model["type"] not in ("Unigram", "WordPiece"):
        return "spells by merging pairs of pieces, of which none can be left out"
    if _unknown(model) is None:
        return "has no unknown token, and could not read what the pieces left to it don't spell"
    return ""


def trimmed(tokenizer: Any, texts: Sequence[str]) -> tuple[PreTrainedTokenizerFast, tuple[int, ...]]:
    """The tokenizer without what `texts` and their like don't need, and the ids that its tokens had, ascending.

    Kept are the special tokens, the bytes, the tokens of `texts`, the single characters of their scripts, of the Latin
    one and of none, and of their scripts the most frequent pieces until there are TARGET_TOKENS.
    """
    state = _state(tokenizer)
    pieces = _pieces(state["model"])
    kept = {token["id"] for token in state["added_tokens"]} | {_unknown(state["model"])}
    if state["model"].get("byte_fallback"):
        kept.update(i for i, piece in enumerate(pieces) if BYTE.fullmatch(piece))
    for ids in tokenizer(list(texts), add_special_tokens=True, return_attention_mask=False)["input_ids"]:
        kept.update(ids)
    characters = Counter(
        _script(character) for text in texts for character in text if not character.isspace()
    )
    alphabet = {"", "LATIN", *characters}
    kept.update(
        i for i, p in enumerate(pieces) if len(_bare(p)) <= 1 and alphabet.issuperset(map(_script, _bare(p)))
    )
    kept.update(_likely(pieces, characters, number=TARGET_TOKENS - len(kept), but=kept))
    ids = tuple(sorted(kept))
    return _with_tokens(tokenizer, state, ids=ids), ids


def _state(tokenizer: Any) -> Any:
    return json.loads(tokenizer.backend_tokenizer.to_str())


def _pieces(model: Any) -> list[str]:
    """The tokens by id."""
    vocabulary = model["vocab"]
    if isinstance(vocabulary, dict):
        return sorted(vocabulary, key=vocabulary.__getitem__)
    return [piece for piece, _ in vocabulary]


def _unknown(model: Any) -> Any:
    """The id of the token that stands for what can't be spelled; None where there is none."""
    return model["unk_id"] if model["type"] == "Unigram" else model["vocab"].get(model["unk_token"])


def _bare(piece: str) -> str:
    for mark in MARKS:
        piece = piece.removeprefix(mark)
    return piece


def _likely(pieces: Sequence[str], characters: Counter[str], *, number: int, but: set[int]) -> list[int]:
    """About `number` ids of the most frequent pieces, of each script as its share of the `characters` is.

    Tokenizers number their pieces from the most frequent on.
    """
    quota = {script: number * count / characters.total() for script, count in characters.items()}
    chosen: list[int] = []
    for i, piece in enumerate(pieces):
        scripts = {_script(character) for character in _bare(piece)}
        if i not in but and len(scripts) == 1 and quota.get(script := scripts.pop(), 0) >= 1:
            quota[script] -= 1
            chosen.append(i)
    return chosen


@functools.cache
def _script(character: str) -> str:
    """The script that Unicode's name of a letter begins with (CJK, LATIN, …); of anything else, nothing."""
    return unicodedata.name(character, "").split(" ")[0] if character.isalpha() else ""


def _with_tokens(tokenizer: Any, state: Any, *, ids: Sequence[int]) -> PreTrainedTokenizerFast:
    """The tokenizer with these tokens alone, numbered anew in their order."""
    new = {old: i for i, old in enumerate(ids)}
    model, pieces = state["model"], _pieces(state["model"])
    if isinstance(model["vocab"], dict):
        model["vocab"] = {pieces[old]: i for old, i in new.items() if old < len(pieces)}
    else:
        model["vocab"] = [model["vocab"][old] for old in ids if old < len(pieces)]
        model["unk_id"] = new[model["unk_id"]]
    for token in state["added_tokens"]:
        token["id"] = new[token["id"]]
    _renumber(state["post_processor"], new)
    roles = {role: str(token) for role, token in tokenizer.special_tokens_map.items() if role in ROLES}
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(state)),
        model_max_length=tokenizer.model_max_length,
        model_input_names=["input_ids", "attention_mask"],
        padding_side=tokenizer.padding_side,
        **roles,
    )


def _renumber(processor: Any, new: dict[int, int]) -> None:
    """The ids of the marks that are set around an utterance, in either form that tokenizers write them."""
    if not processor:
        return
    for each in processor.get("processors", ()):
        _renumber(each, new)
    for mark in (processor.get("special_tokens") or {}).values():
        mark["ids"] = [new[old] for old in mark["ids"]]
    for name in ("sep", "cls"):
        if name in processor:
            word, old = processor[name]
            processor[name] = [word, new[old]]
