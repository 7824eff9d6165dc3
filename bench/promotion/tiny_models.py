"""Real versions to promote: two small models, trained by the project's own command, registered many times over.

    PYTHONPATH=src python -m bench.promotion.tiny_models FOLDER COUNT

Versions 1, 3, 5, … are a model of the one bundled sample, 2, 4, 6, … of the other, so that nothing of theirs is alike:
neither intents nor vocabulary nor weights. The last line printed is what each says of consuming.UTTERANCE, read by
MLflow's own loader. The registry is the one that MLFLOW_TRACKING_URI names.
"""

import json
import sys
from pathlib import Path

import mlflow
import torch
import transformers
from mlflow.tracking import MlflowClient

from bench.promotion.consuming import UTTERANCE
from bench.promotion.server import NAME
from intents import cli

ASSETS = Path(__file__).parents[2] / "assets"
SAMPLES = ("chat_zh", "assistant_bilingual")
SETTINGS = {
    "blacklist": str(ASSETS / "blacklist.txt"),
    "max_length": "32",
    "batch_size": "64",
    "epochs": "1",
    "min_steps": "0",
    "precision": "float32",
    "threshold_rule": "fixed",
    "fixed_threshold": "0",  # far from every energy: no rounding decides what is Unknown
    "register": NAME,
}


def main() -> int:
    """Trains and registers; the exit code of the training that failed, if one did."""
    folder, count = Path(sys.argv[1]), int(sys.argv[2])
    encoder = tiny_encoder(folder / "encoder")
    for sample in SAMPLES:
        settings = SETTINGS | {
            "data": str(ASSETS / "samples" / sample),
            "model_name": str(encoder),
            "workspace": str(folder / "workspace"),
        }
        flags = [word for name, text in settings.items() for word in (f"--{name}", text)]
        if code := cli.main(["train_bert", *flags]):
            return code
    register_again(count)
    print(json.dumps([answer(number) for number in (1, 2)], ensure_ascii=False))
    return 0


def tiny_encoder(folder: Path) -> Path:
    """A random BERT of two narrow layers; training adds the characters of its corpus to the vocabulary."""
    folder.mkdir()
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "的"]
    (folder / "vocab.txt").write_text("\n".join(vocabulary), encoding="utf-8")
    transformers.BertTokenizerFast.from_pretrained(folder).save_pretrained(folder)
    config = transformers.BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=128,
    )
    torch.manual_seed(7)
    transformers.BertModel(config).save_pretrained(folder)
    return folder


def register_again(count: int) -> None:
    """The two models in turn, until there are so many versions."""
    client = MlflowClient()
    trained = [client.get_model_version(NAME, str(number)) for number in (1, 2)]
    for number in range(2, count):
        version = trained[number % 2]
        model_id = version.source.removeprefix("models:/")
        client.create_model_version(NAME, version.source, run_id=version.run_id, model_id=model_id)


def answer(number: int) -> list[object]:
    """Intent and confidence, as a consumer should have them."""
    (row,) = mlflow.pyfunc.load_model(f"models:/{NAME}/{number}").predict([UTTERANCE])
    return [row.intent, row.confidence]


if __name__ == "__main__":
    sys.exit(main())
