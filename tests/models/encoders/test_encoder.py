"""Encoders: what a name stands for, what a tokenizer can spell, and what is refused."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers

from intents.errors import EncoderError
from intents.models.encoders import encoder as encoders
from intents.models.encoders.files import ALTERNATIVES
from intents.parameters import declaration
from intents.parameters.training.bert import BertHyperparams
from tests.conftest import UNSPELLABLE

TEXTS = ["你好 呀", "ABC!", "几点钟？"]


def load(model_name: str, texts: list[str] = TEXTS, **changes: str) -> encoders.Encoder:
    """As the commands do, from the texts a user typed; marks of beginning and end unless told otherwise."""
    hyperparams = declaration.build(BertHyperparams, {"model_name": model_name, "max_length": "16"} | changes)
    return encoders.load(hyperparams, texts, workspace=Path("nothing-is-kept-here"))


def tokens(tokenizer: transformers.PreTrainedTokenizerFast, text: str) -> list[str]:
    return tokenizer.convert_ids_to_tokens(tokenizer(text)["input_ids"])


def test_the_character_tokenizer_makes_one_token_a_character_between_cls_and_sep():
    tokenizer = encoders.character_tokenizer(TEXTS, max_length=16)
    assert tokens(tokenizer, "你好") == ["[CLS]", "你", "好", "[SEP]"]


def test_the_character_tokenizer_reads_wide_and_upper_case_forms_as_the_plain_ones():
    tokenizer = encoders.character_tokenizer(TEXTS, max_length=16)
    assert tokens(tokenizer, "ＡｂＣ！") == tokens(tokenizer, "abc!") == ["[CLS]", *"abc!", "[SEP]"]


def test_the_character_tokenizer_ignores_white_space_around_and_counts_inner_runs_once():
    tokenizer = encoders.character_tokenizer(TEXTS, max_length=16)
    assert tokens(tokenizer, "\t 你 \n\u3000 好 ") == tokens(tokenizer, "你 好")


def test_a_character_never_seen_in_training_is_the_unknown_token():
    tokenizer = encoders.character_tokenizer(TEXTS, max_length=16)
    assert tokens(tokenizer, "你龘") == ["[CLS]", "你", "[UNK]", "[SEP]"]


def test_the_character_vocabulary_does_not_depend_on_the_order_of_the_corpus():
    forward = encoders.character_tokenizer(TEXTS, max_length=16)
    backward = encoders.character_tokenizer(TEXTS[::-1], max_length=16)
    assert forward.get_vocab() == backward.get_vocab()


def test_the_character_tokenizer_reloads_from_disk_as_it_was(tmp_path: Path):
    tokenizer = encoders.character_tokenizer(TEXTS, max_length=16)
    tokenizer.save_pretrained(tmp_path)
    reloaded = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert tokens(reloaded, "ＡＢ 你龘") == tokens(tokenizer, "ＡＢ 你龘")
    assert reloaded.model_max_length == 16


def test_unknown_share_counts_tokens_not_utterances():
    tokenizer = encoders.character_tokenizer(["ab"], max_length=16)
    # 8 characters, of which x, y and z can't be spelled
    assert encoders.unknown_share(tokenizer, ["abab", "axyz"]) == pytest.approx(3 / 8)


def test_unknown_share_of_utterances_without_a_token_is_zero():
    assert encoders.unknown_share(encoders.character_tokenizer(["ab"], max_length=16), [" "]) == 0


def test_the_char_encoder_begins_at_random_and_spells_its_whole_corpus():
    encoder = load("char")
    assert (encoder.weights, encoder.added_tokens, encoder.unknown_share) == ("", 0, 0)


def test_characters_a_pretrained_encoder_lacks_are_added_and_then_spelled(tiny_bert: Path):
    encoder = load(str(tiny_bert), [f"你好{UNSPELLABLE}", "你好"])
    assert encoder.added_tokens == 1
    assert encoder.unknown_share == pytest.approx(1 / 5)
    ids = encoder.tokenizer(f"你{UNSPELLABLE}", add_special_tokens=False)["input_ids"]
    assert len(ids) == 2
    assert encoder.tokenizer.unk_token_id not in ids


def test_added_characters_keep_their_ids_through_disk(tiny_bert: Path, tmp_path: Path):
    encoder = load(str(tiny_bert), ["你好龘靐呢"])
    encoder.tokenizer.save_pretrained(tmp_path)
    reloaded = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert encoder.added_tokens == 3
    assert reloaded("靐你龘呢")["input_ids"] == encoder.tokenizer("靐你龘呢")["input_ids"]


def test_nothing_is_added_where_the_user_says_never(tiny_bert: Path):
    encoder = load(str(tiny_bert), [f"你好{UNSPELLABLE}"], extend_vocabulary="never")
    assert encoder.added_tokens == 0
    assert tokens(encoder.tokenizer, UNSPELLABLE) == ["[CLS]", "[UNK]", "[SEP]"]


@pytest.mark.parametrize("kind", ["char", "pretrained"])
def test_without_special_tokens_an_utterance_is_its_own_tokens_and_no_more(kind: str, tiny_bert: Path):
    model_name = "char" if kind == "char" else str(tiny_bert)
    marked, plain = load(model_name), load(model_name, special_tokens="false")
    assert tokens(marked.tokenizer, "你好") == ["[CLS]", "你", "好", "[SEP]"]
    assert tokens(plain.tokenizer, "你好") == ["你", "好"]
    assert plain.tokenizer("")["input_ids"] == []
    # the same ids, so that a table made for one serves the other
    assert plain.tokenizer.get_vocab() == marked.tokenizer.get_vocab()
    assert plain.tokenizer.pad_token_id == marked.tokenizer.pad_token_id
    assert plain.tokenizer.unk_token_id == marked.tokenizer.unk_token_id


@pytest.mark.parametrize("kind", ["char", "pretrained"])
def test_without_special_tokens_the_longest_length_is_all_the_utterances_own(kind: str, tiny_bert: Path):
    plain = load("char" if kind == "char" else str(tiny_bert), special_tokens="false").tokenizer
    assert plain.model_max_length == 16
    assert tokens(plain, "你好" * 8) == ["你", "好"] * 8
    cut = plain("你好" * 9, truncation=True, max_length=16)["input_ids"]
    assert cut == plain("你好" * 8)["input_ids"]


@pytest.mark.parametrize("kind", ["char", "pretrained"])
def test_a_tokenizer_without_special_tokens_reloads_from_disk_as_it_was(
    kind: str, tiny_bert: Path, tmp_path: Path
):
    plain = load("char" if kind == "char" else str(tiny_bert), ["你好龘靐"], special_tokens="false").tokenizer
    plain.save_pretrained(tmp_path)
    reloaded = transformers.AutoTokenizer.from_pretrained(tmp_path)
    # Only what torch takes as it is: a TextCNN knows no token types.
    assert reloaded("靐你A龘").keys() == plain("靐你A龘").keys() == {"input_ids", "attention_mask"}
    assert reloaded("靐你A龘")["input_ids"] == plain("靐你A龘")["input_ids"]
    assert reloaded.model_max_length == 16


def test_characters_added_to_a_pretrained_encoder_keep_their_ids_without_special_tokens(tiny_bert: Path):
    marked, plain = (
        load(str(tiny_bert), ["你龘靐"], special_tokens=special) for special in ("true", "false")
    )
    assert marked.added_tokens == plain.added_tokens == 2
    assert plain.tokenizer("龘你靐")["input_ids"] == marked.tokenizer("龘你靐")["input_ids"][1:-1]


def test_an_encoder_remembers_where_its_run_keeps_what_is_derived(tmp_path: Path):
    assert encoders.load(BertHyperparams(model_name="char"), TEXTS, workspace=tmp_path).workspace == tmp_path


def test_missing_characters_are_named_once_and_sorted(tiny_bert: Path):
    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny_bert)
    assert encoders.missing_characters(tokenizer, ["龘你 龘", "靐好"]) == ["靐", "龘"]


def test_a_local_directory_is_its_own_weights(tiny_bert: Path, tmp_path: Path):
    assert encoders.locate(str(tiny_bert), workspace=tmp_path) == str(tiny_bert)


@pytest.mark.parametrize("name", ["/nowhere/model", "./nowhere", "~/nowhere-at-all", "bert", "a/b/c"])
def test_a_name_that_is_no_encoder_is_refused_with_what_could_be_used_instead(name: str, tmp_path: Path):
    with pytest.raises(EncoderError, match=r"found nothing.*model_name=char"):
        encoders.locate(name, workspace=tmp_path)


def test_a_file_is_no_encoder(tmp_path: Path):
    (tmp_path / "model").write_text("")
    with pytest.raises(EncoderError, match="found a file"):
        encoders.locate(str(tmp_path / "model"), workspace=tmp_path)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_directory_without_config_or_weights_is_refused_by_the_missing_name(
    name: str, tiny_bert: Path, tmp_path: Path
):
    copy = shutil.copytree(tiny_bert, tmp_path / "encoder")
    (copy / name).unlink()
    with pytest.raises(EncoderError, match=name):
        load(str(copy))


def test_pickled_weights_alone_are_never_enough(tiny_bert: Path, tmp_path: Path):
    copy = shutil.copytree(tiny_bert, tmp_path / "encoder")
    (copy / "model.safetensors").unlink()
    torch.save({}, copy / "pytorch_model.bin")
    with pytest.raises(EncoderError, match="pickled weights are never loaded"):
        load(str(copy))


def test_an_encoder_that_brings_its_own_code_is_refused_and_the_code_not_run(tiny_bert: Path, tmp_path: Path):
    copy = shutil.copytree(tiny_bert, tmp_path / "encoder")
    trace = tmp_path / "trace"
    (copy / "evil.py").write_text(f"open({str(trace)!r}, 'w')\nclass Config: pass\n")
    config = '{"model_type": "evil", "auto_map": {"AutoConfig": "evil.Config"}}'
    (copy / "config.json").write_text(config)
    with pytest.raises(EncoderError, match="can't be loaded"):
        load(str(copy))
    assert not trace.exists()


def cut_short(content: bytes) -> bytes:
    return content[: len(content) // 2]


@pytest.mark.parametrize(
    ("name", "damage", "finding"),
    [
        ("config.json", lambda _: b"{", "config.json is no JSON"),
        ("config.json", lambda _: b"\xff\xfe", "config.json is no JSON"),
        ("config.json", lambda _: b"[]", "config.json holds a list, expected a JSON object"),
        ("config.json", lambda _: b"{}", "Unrecognized model"),
        ("tokenizer_config.json", lambda _: b"{", "tokenizer_config.json is no JSON"),
        ("tokenizer.json", lambda _: b"{", "can't be loaded: "),
        ("tokenizer.json", lambda _: b'{"version": "1.0"}', "can't be loaded: "),
        ("model.safetensors", cut_short, "model.safetensors is damaged"),
        ("model.safetensors", lambda content: content + b"more", "model.safetensors is damaged"),
        ("model.safetensors", lambda _: b"", "model.safetensors is damaged"),
        ("model.safetensors", lambda _: b"version https://git-lfs", "model.safetensors is damaged"),
    ],
)
def test_a_damaged_file_is_one_clear_error_before_anything_is_trained(
    name: str, damage: Callable[[bytes], bytes], finding: str, tiny_bert: Path, tmp_path: Path
):
    copy = shutil.copytree(tiny_bert, tmp_path / "encoder")
    (copy / name).write_bytes(damage((copy / name).read_bytes()))
    with pytest.raises(EncoderError) as refusal:
        encoders.locate(str(copy), workspace=tmp_path)
    assert str(refusal.value).startswith(f"model_name={str(copy)!r} can't be loaded: ")
    assert finding in str(refusal.value)
    assert str(refusal.value).endswith(ALTERNATIVES)


def test_an_index_that_names_an_absent_file_of_weights_is_refused_by_its_name(
    tiny_bert: Path, tmp_path: Path
):
    copy = shutil.copytree(tiny_bert, tmp_path / "encoder")
    (copy / "model.safetensors").rename(copy / "model-00001-of-00002.safetensors")
    parts = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (copy / "model.safetensors.index.json").write_text(json.dumps({"weight_map": parts}))
    with pytest.raises(EncoderError, match=r"00002-of-00002\.safetensors is damaged"):
        encoders.locate(str(copy), workspace=tmp_path)


@pytest.mark.parametrize("index", ["{}", '{"weight_map": []}', '{"weight_map": {"a": 1}}'])
def test_an_index_that_names_no_weights_is_refused(index: str, tiny_bert: Path, tmp_path: Path):
    copy = shutil.copytree(tiny_bert, tmp_path / "encoder")
    (copy / "model.safetensors").unlink()
    (copy / "model.safetensors.index.json").write_text(index)
    with pytest.raises(EncoderError, match="is damaged: No such file"):
        encoders.locate(str(copy), workspace=tmp_path)


@pytest.mark.parametrize("model_type", ["bert", "deberta-v2", "xlm-roberta"])
def test_an_encoder_without_a_tokenizer_is_refused_though_the_library_would_make_an_empty_one(
    model_type: str, tiny_bert: Path, tmp_path: Path
):
    copy = shutil.copytree(tiny_bert, tmp_path / "encoder")
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt"):
        (copy / name).unlink()
    (copy / "config.json").write_text(json.dumps({"model_type": model_type}))
    assert len(transformers.AutoTokenizer.from_pretrained(copy)) < 10
    with pytest.raises(EncoderError, match="it has no tokenizer; expected"):
        encoders.locate(str(copy), workspace=tmp_path)


def test_added_characters_of_any_script_are_spelled_where_this_project_is_unknown(
    tiny_bert: Path, tmp_path: Path
):
    texts = ["你好กขค", "👋🏽🎉", "привет", "龘靐"]
    encoder = load(str(tiny_bert), texts)
    encoder.tokenizer.save_pretrained(tmp_path)
    script = """
import sys; sys.modules["intents"] = None
import json
from transformers import AutoTokenizer
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
print(json.dumps(tokenizer(json.loads(sys.argv[2]), add_special_tokens=False)["input_ids"]))
"""
    said = subprocess.run(
        [sys.executable, "-I", "-c", script, str(tmp_path), json.dumps(texts)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    spelled = json.loads(said)
    assert encoder.unknown_share > 0
    assert spelled == encoder.tokenizer(texts, add_special_tokens=False)["input_ids"]
    # a token of its own for every character, and none of them unknown
    assert [len(set(ids)) for ids in spelled] == [len(set(text)) for text in texts]
    assert encoder.tokenizer.unk_token_id not in {token for ids in spelled for token in ids}
