"""A vocabulary cut to a corpus: what is spelled alike stays alike, what is not falls back on smaller pieces."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, pre_tokenizers
from tokenizers.models import BPE, Unigram, WordPiece
from tokenizers.processors import TemplateProcessing
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from intents.errors import EncoderError
from intents.models.encoders import encoder as encoders
from intents.models.encoders import vocabulary
from intents.parameters.training.bert import BertHyperparams

WORDS = ["你好", "多少钱", "hello", "world", "hell", "price"]
CHARACTERS = sorted(set("你好多少钱helloworldprice"))


def unigram() -> Any:
    pieces = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    pieces += [(f"▁{word}", -3.0) for word in WORDS] + [(word, -4.0) for word in WORDS]
    pieces += [("▁", -5.0), *((character, -8.0) for character in CHARACTERS), ("<mask>", 0.0)]
    tokenizer = Tokenizer(Unigram(pieces, unk_id=3))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    roles = {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, mask_token="<mask>", **roles)


def wordpiece() -> Any:
    tokens = ["[PAD]", "unused", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokens += [*WORDS, *(f"##{word}" for word in WORDS), *CHARACTERS, *(f"##{c}" for c in CHARACTERS)]
    tokenizer = Tokenizer(WordPiece({token: i for i, token in enumerate(tokens)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=[("[CLS]", 3), ("[SEP]", 4)]
    )
    roles = {"cls_token": "[CLS]", "pad_token": "[PAD]", "sep_token": "[SEP]", "unk_token": "[UNK]"}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, mask_token="[MASK]", **roles)


@pytest.fixture(params=[unigram, wordpiece])
def tokenizer(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(vocabulary, "TARGET_TOKENS", 0)
    return request.param()


def test_what_is_spelled_by_kept_tokens_is_spelled_as_before(tokenizer: Any):
    small, kept = vocabulary.trimmed(tokenizer, ["hello 你好"])
    assert len(small) == len(kept) < len(tokenizer)
    for text in ("hello 你好", "你好", "hello hello"):
        assert [kept[i] for i in small(text)["input_ids"]] == tokenizer(text)["input_ids"]


def test_what_is_not_is_spelled_by_smaller_pieces_and_never_as_unknown(tokenizer: Any):
    small, _ = vocabulary.trimmed(tokenizer, ["hello 你好"])
    for text in ("world price", "多少钱"):
        ids = small(text, add_special_tokens=False)["input_ids"]
        assert small.unk_token_id not in ids
        assert len(ids) > len(tokenizer(text, add_special_tokens=False)["input_ids"])


def test_special_tokens_keep_their_roles(tokenizer: Any):
    small, kept = vocabulary.trimmed(tokenizer, ["你好"])
    for role in ("pad", "unk", "mask"):
        assert kept[getattr(small, f"{role}_token_id")] == getattr(tokenizer, f"{role}_token_id")
    batch = small(["你好", "hello hello"], padding=True)
    assert batch["input_ids"][0][-1] == small.pad_token_id
    assert batch["attention_mask"][0][-1] == 0


def test_tokens_that_were_added_beyond_the_vocabulary_are_kept(tokenizer: Any):
    tokenizer.add_tokens(["龘"])
    small, kept = vocabulary.trimmed(tokenizer, ["hello"])
    assert kept[-1] == len(tokenizer) - 1
    assert small.convert_ids_to_tokens(small("龘", add_special_tokens=False)["input_ids"])[-1] == "龘"


def test_it_is_saved_and_read_by_plain_transformers(tokenizer: Any, tmp_path: Path):
    small, _ = vocabulary.trimmed(tokenizer, ["hello"])
    small.save_pretrained(tmp_path)
    texts = ["hello world", "多少钱", "?"]
    assert AutoTokenizer.from_pretrained(tmp_path)(texts)["input_ids"] == small(texts)["input_ids"]


def test_frequent_pieces_are_kept_by_the_share_of_their_script(monkeypatch: pytest.MonkeyPatch):
    tokenizer = unigram()
    monkeypatch.setattr(vocabulary, "TARGET_TOKENS", 0)
    _, none = vocabulary.trimmed(tokenizer, ["h"])
    monkeypatch.setattr(vocabulary, "TARGET_TOKENS", len(none) + 4)
    small, kept = vocabulary.trimmed(tokenizer, ["h"])
    more = {small.convert_ids_to_tokens(kept.index(i)) for i in set(kept) - set(none)}
    assert more == {"▁hello", "▁world", "▁hell", "▁price"}


def plain(pieces: list[tuple[str, float]], **settings: Any) -> PreTrainedTokenizerFast:
    """A Unigram tokenizer that names no token's role."""
    tokenizer = Tokenizer(Unigram(pieces, **settings))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer)


LETTERS = [(character, -4.0) for character in "▁helo多"]


def test_a_character_that_was_spelled_by_its_bytes_still_is(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(vocabulary, "TARGET_TOKENS", 0)
    in_bytes = [(f"<0x{byte:02X}>", -9.0) for byte in range(256)]
    tokenizer = plain([("<unk>", 0.0), *LETTERS, *in_bytes], unk_id=0, byte_fallback=True)
    small, kept = vocabulary.trimmed(tokenizer, ["hello"])
    for text in ("hello 龘", "£", "👍"):
        assert [kept[i] for i in small(text)["input_ids"]] == tokenizer(text)["input_ids"]
    # one of a script that the corpus lacks goes the same way: 多 is E5 A4 9A in UTF-8
    assert small.tokenize("多") == ["▁", "<0xE5>", "<0xA4>", "<0x9A>"]
    assert tokenizer.tokenize("多") == ["▁", "多"]


def test_the_unknown_token_is_kept_though_no_role_is_its(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(vocabulary, "TARGET_TOKENS", 0)
    tokenizer = plain([*LETTERS, ("unknown", 0.0)], unk_id=len(LETTERS))
    small, kept = vocabulary.trimmed(tokenizer, ["hello"])
    unspelled = [kept[i] for i in small("多")["input_ids"]]  # a script that the corpus lacks
    assert unspelled == tokenizer("龘")["input_ids"] == [0, len(LETTERS)]


def merging() -> Any:
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer(BPE({"a": 0, "b": 1, "ab": 2}, [("a", "b")])))


def without_unknown() -> Any:
    """It reads what its pieces spell; at anything else it raises."""
    return plain([*LETTERS, ("<0xE5>", -9.0)], unk_id=None, byte_fallback=True)


def words_without_unknown() -> Any:
    words = {"aa": 0, "a": 1, "b": 2}
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer(WordPiece(words, unk_token="[UNK]")))


@pytest.mark.parametrize(
    ("make", "text", "reason"),
    [
        (merging, "ab", "spells by merging pairs"),
        (without_unknown, "hello", "has no unknown token"),
        (words_without_unknown, "a", "has no unknown token"),
    ],
)
def test_a_tokenizer_that_can_spare_no_piece_is_refused_and_used_whole(
    make: Callable[[], Any], text: str, reason: str, tiny_bert: Path, tmp_path: Path
):
    copy = shutil.copytree(tiny_bert, tmp_path / "encoder")
    (copy / "vocab.txt").unlink()
    make().save_pretrained(copy)
    whole = BertHyperparams(model_name=str(copy), vocabulary="full")
    assert encoders.load(whole, [text], workspace=tmp_path).unknown_share == 0
    with pytest.raises(EncoderError, match=rf"trimmed: '.*encoder' {reason}.* Pass -P vocabulary=full\."):
        encoders.load(replace(whole, vocabulary="trimmed"), [text], workspace=tmp_path)
    assert not vocabulary.obstacle(unigram())
