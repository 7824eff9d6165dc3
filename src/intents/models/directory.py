"""The model directory: one layout for both families, written here and verified here. No other module knows a file.

`model.safetensors`, `config.json`, the tokenizer and `intent_mapping.json` are the model; the rest tells a person
about it. `manifest.json`, written last, names every file with its size and sha256: a directory without it is
unfinished, one that disagrees with it is damaged. Publishing adds `promotion.json`, which no manifest names.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from transformers import AutoModelForSequenceClassification, AutoTokenizer
from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

from intents.errors import ArtifactError
from intents.models.file_names import (
    ALLOWED_FILES,
    CONFIG,
    MANIFEST,
    MAPPING,
    MODEL_FILES,
    PROMOTION,
    TOKENIZER_CONFIG,
    TRAINING_ROWS,
    WEIGHTS,
)
from intents.system.disk import sha256

FORMAT_VERSION = 1
FINGERPRINT = np.dtype(">u8")
AGAIN = "Take the directory from its run again."


@dataclass(frozen=True)
class RejectionRule:
    """When an utterance is `unknown_intent`: when its energy exceeds the threshold. It belongs to the model."""

    energy_threshold: float
    target: str
    unknown_intent: str
    fitted_temperature: float
    """Already folded into the head; kept as provenance only."""


@dataclass(frozen=True)
class Artifact:
    """A verified model directory, loaded."""

    module: Any
    tokenizer: Any
    intents: tuple[str, ...]
    rejection: RejectionRule

    @property
    def max_length(self) -> int:
        """Longest utterance, in tokens."""
        return int(self.tokenizer.model_max_length)


def save(
    directory: Path, module: Any, *, tokenizer: Any, intents: tuple[str, ...], rejection: RejectionRule
) -> None:
    """Writes the model itself. `seal` the directory once everything else is in it."""
    module.config.rejection = asdict(rejection)
    module.config.format_version = FORMAT_VERSION
    # Where the weights once came from is a path of the machine they were trained on.
    module.config.name_or_path = ""
    module.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    id2intent = {str(i): intent for i, intent in enumerate(intents)}
    mapping = {"intent2id": {intent: i for i, intent in enumerate(intents)}, "id2intent": id2intent}
    write_json(directory / MAPPING, mapping)


def seal(directory: Path) -> None:
    """Writes the manifest: the directory is complete, and any later change to it shows."""
    unexpected = sorted({path.name for path in directory.iterdir()} - ALLOWED_FILES - {MANIFEST})
    if unexpected:
        raise ArtifactError(f"{directory} holds files that no model has: {unexpected}. Remove them.")
    files = {
        path.name: {"sha256": sha256(path), "bytes": path.stat().st_size}
        for path in sorted(directory.iterdir())
        if path.name != MANIFEST
    }
    write_json(directory / MANIFEST, {"format_version": FORMAT_VERSION, "files": files})
    for path in directory.iterdir():
        # safetensors writes its file for its owner alone; the service that reads it may be someone else.
        path.chmod(0o644)


def write_training_rows(directory: Path, fingerprints: npt.NDArray[np.uint64]) -> None:
    """Writes what the model has seen, so that nobody measures it on that."""
    (directory / TRAINING_ROWS).write_bytes(fingerprints.astype(FINGERPRINT).tobytes())


def training_rows(directory: Path) -> frozenset[int] | None:
    """The fingerprints of what the model has seen; None of a model that does not say. Raises ArtifactError."""
    try:
        content = (directory / TRAINING_ROWS).read_bytes()
        return frozenset(np.frombuffer(content, dtype=FINGERPRINT).tolist())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ArtifactError(
            f"{directory / TRAINING_ROWS}: no whole number of fingerprints. {AGAIN}"
        ) from error


def verify(directory: Path) -> None:
    """Checks every file, name, size, hash and the mapping, without loading anything. Raises ArtifactError.

    The record of its publication, if there is one, is not the model's: `registry.record` checks it.
    """
    manifest = _read_json(directory / MANIFEST)
    files = manifest.get("files")
    if manifest.get("format_version") != FORMAT_VERSION or not isinstance(files, dict):
        raise ArtifactError(
            f"{directory / MANIFEST}: format_version is {manifest.get('format_version')!r}, expected "
            f"{FORMAT_VERSION}. Train the model again with this version of the project."
        )
    present = {path.name for path in directory.iterdir()} - {MANIFEST, PROMOTION}
    _check_names(directory, present, listed=set(files))
    for name, entry in files.items():
        _check_file(directory / name, entry)
    _check_mapping(directory)


def load(directory: Path) -> Artifact:
    """The verified model, in evaluation mode. Raises ArtifactError."""
    verify(directory)
    config = _read_json(directory / CONFIG)
    try:
        rejection = RejectionRule(**config["rejection"])
        tokenizer = AutoTokenizer.from_pretrained(directory, trust_remote_code=False)
        module, loading = AutoModelForSequenceClassification.from_pretrained(
            directory, use_safetensors=True, trust_remote_code=False, output_loading_info=True
        )
    except (KeyError, TypeError, OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise ArtifactError(
            f"{directory} can't be loaded: {type(error).__name__}: {str(error)[:200]}. "
            "Its files match its manifest, so it was written wrongly: train the model again."
        ) from error
    if loading["missing_keys"]:
        raise ArtifactError(
            f"{directory / WEIGHTS} lacks {sorted(loading['missing_keys'])[:5]}, which would be random. "
            f"{AGAIN}"
        )
    return Artifact(module.eval(), tokenizer, read_intents(directory), rejection)


def read_intents(directory: Path) -> tuple[str, ...]:
    """The intents in the order of their ids."""
    id2intent = _read_json(directory / MAPPING)["id2intent"]
    return tuple(id2intent[str(i)] for i in range(len(id2intent)))


def needs_import(directory: Path) -> bool:
    """Whether its architecture is this project's own, so that a reader must `import intents` first."""
    return _read_json(directory / CONFIG).get("model_type") not in CONFIG_MAPPING_NAMES


def _check_names(directory: Path, present: set[str], *, listed: set[str]) -> None:
    problems = [f"{name} is missing" for name in sorted((listed | set(MODEL_FILES)) - present)]
    problems += [f"{name} is not in the manifest" for name in sorted(present - listed)]
    problems += [
        f"{name} is not a file that a model has" for name in sorted((listed | present) - ALLOWED_FILES)
    ]
    if problems:
        raise ArtifactError(f"{directory}: {'; '.join(problems)}. {AGAIN}")


def _check_file(path: Path, entry: object) -> None:
    if path.is_symlink() or not path.is_file():
        raise ArtifactError(f"{path}: expected a regular file. {AGAIN}")
    if not isinstance(entry, dict) or entry.keys() != {"sha256", "bytes"}:
        raise ArtifactError(f"{path.with_name(MANIFEST)}: expected sha256 and bytes of {path.name}. {AGAIN}")
    size = path.stat().st_size
    if size != entry["bytes"]:
        raise ArtifactError(f"{path}: {size} bytes, expected {entry['bytes']}: truncated or changed. {AGAIN}")
    if sha256(path) != entry["sha256"]:
        raise ArtifactError(f"{path}: its sha256 is not the manifest's: damaged or changed. {AGAIN}")


def _check_mapping(directory: Path) -> None:
    """Both directions agree, ids run from 0, and config.json says the same."""
    mapping, config = _read_json(directory / MAPPING), _read_json(directory / CONFIG)
    intent2id, id2intent = mapping.get("intent2id"), mapping.get("id2intent")
    is_sound = (
        isinstance(intent2id, dict)
        and isinstance(id2intent, dict)
        and all(type(i) is int for i in intent2id.values())
        and sorted(intent2id.values()) == list(range(len(intent2id)))
        and id2intent == {str(i): intent for intent, i in intent2id.items()}
    )
    if not is_sound:
        raise ArtifactError(
            f"{directory / MAPPING}: the two directions disagree, or ids don't run from 0. {AGAIN}"
        )
    if config.get("id2label") != id2intent:
        raise ArtifactError(
            f"{directory / MAPPING} names {len(id2intent or {})} intents, {CONFIG} has "
            f"{len(config.get('id2label') or {})}, or other ones: they must agree. {AGAIN}"
        )
    for name, content in ((CONFIG, config), (TOKENIZER_CONFIG, _read_json(directory / TOKENIZER_CONFIG))):
        if "auto_map" in content:
            raise ArtifactError(
                f"{directory / name}: auto_map would run code of the model's; that is never loaded."
            )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ArtifactError(
            f"{path} is missing: {path.parent} is no finished model directory. Name one, or train the model again."
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise ArtifactError(f"{path}: can't be read as JSON ({error}). {AGAIN}") from error
    if not isinstance(content, dict):
        raise ArtifactError(f"{path}: expected a JSON object, found a {type(content).__name__}. {AGAIN}")
    return content


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Writes one of the directory's JSON files."""
    path.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
