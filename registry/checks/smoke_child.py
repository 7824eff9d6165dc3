"""Loads one model directory and lets it predict: a promotion's child, `python -m registry.checks.smoke_child`.

Reads the directory's path from its input, prints one JSON object. What a model directory may hold is anyone's guess
until it is verified, and loading it may exhaust the memory or crash: that then ends this process, not the promotion.
"""

import csv
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from scipy.special import softmax

from intents.errors import IntentsError, PromotionError
from intents.models import directory as model_directory
from intents.models.file_names import SANITY_PREDICTIONS
from intents.models.network import predict_logits

UTTERANCES = ("你好呀，等下聊聊？", "我这会儿不方便接电话", "地址可以发一下吗？", "hello", "？", "好" * 2000)
"""Everyday ones, one that is a mark, and one that is far too long."""
TOLERANCE = 0.01
"""By so much a confidence may differ from the one recorded at training: other machines round otherwise."""
FORBIDDEN_EVENTS = (
    "socket.connect",
    "socket.getaddrinfo",
    "pickle.find_class",
    "os.system",
    "subprocess.Popen",
)


def main() -> None:
    """Prints what was found, or {"refused": why}."""
    directory = Path(sys.stdin.readline().strip())
    sys.addaudithook(_forbid)
    print(json.dumps(judge(directory), ensure_ascii=False))


def judge(directory: Path) -> dict[str, Any]:
    """What was found, or {"refused": why}. Raises nothing, whatever the directory holds."""
    try:
        return examine(directory)
    except IntentsError as error:
        return {"refused": str(error)}
    except Exception as error:  # libraries raise anything at all over a file that someone made up
        return {"refused": f"{directory} can't be loaded: {type(error).__name__}: {str(error)[:300]}."}


def examine(directory: Path) -> dict[str, Any]:
    """What the model is and says. Raises ArtifactError or PromotionError where it may not be published."""
    began = time.monotonic()
    loaded = model_directory.load(directory)
    logits_BC = predict_logits(
        loaded.module, loaded.tokenizer, texts=UTTERANCES, max_length=loaded.max_length
    )
    if logits_BC.shape != (len(UTTERANCES), len(loaded.intents)) or not np.isfinite(logits_BC).all():
        raise PromotionError(
            f"{directory}: its logits are not {len(loaded.intents)} finite numbers an utterance. "
            "Train the model again."
        )
    recorded = _compare_with_record(directory, loaded)
    confidence_B = softmax(logits_BC.astype(np.float64), axis=-1).max(axis=-1)
    said = zip(UTTERANCES, logits_BC.argmax(axis=-1), confidence_B, strict=True)
    return {
        "predictions": [[text[:20], loaded.intents[i], round(float(c), 4)] for text, i, c in said],
        "compared_with_training": recorded,
        "needs_import_intents": type(loaded.module).__module__.startswith("intents."),
        "seconds": round(time.monotonic() - began, 2),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }


def _compare_with_record(directory: Path, loaded: model_directory.Artifact) -> int:
    """How many predictions recorded at training it repeats; PromotionError if it says otherwise."""
    path = directory / SANITY_PREDICTIONS
    if not path.exists():
        return 0
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    logits_BC = predict_logits(
        loaded.module, loaded.tokenizer, texts=[row["text"] for row in rows], max_length=loaded.max_length
    )
    for row, probabilities_C in zip(rows, softmax(logits_BC.astype(np.float64), axis=-1), strict=True):
        now = float(probabilities_C[loaded.intents.index(row["intent"])])
        if abs(now - float(row["confidence"])) > TOLERANCE:
            raise PromotionError(
                f"{path}: at training {row['text']!r} had {row['intent']!r} with {row['confidence']}, now with "
                f"{now:.4f}: not the model that was trained, or not the same libraries. Train it again."
            )
    return len(rows)


def _forbid(event: str, arguments: tuple[Any, ...]) -> None:
    if event in FORBIDDEN_EVENTS:
        raise PromotionError(
            f"loading the model would need {event} {str(arguments)[:100]}: that is never allowed."
        )


if __name__ == "__main__":
    main()
