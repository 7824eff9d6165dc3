"""A chat service's reader of the published model, better than five plain lines in three ways: it resolves the link
once a load, so it never mixes two versions; it refuses what the model doesn't know; it follows a promotion or a
rollback at the next utterance. Needs torch and transformers, and for a TextCNN `import intents`; nothing else of this
project. Try it: python docs/consumer.py assets/models/intent_predictor
"""

import argparse
import os
import sys

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer


class PublishedModel:
    """What `target` leads to, read again whenever it leads elsewhere."""

    def __init__(self, target: str) -> None:
        self.target, self.folder = target, ""

    def predict(self, text: str) -> tuple[str, float]:
        """The intent and its confidence; the intent is the model's word for unknown where the energy is too high."""
        folder = os.path.realpath(self.target)
        if folder != self.folder:
            self.tokenizer = AutoTokenizer.from_pretrained(folder)
            self.model, self.folder = (
                AutoModelForSequenceClassification.from_pretrained(folder).eval(),
                folder,
            )
        inputs = self.tokenizer(text, return_tensors="pt", truncation=True)
        with torch.inference_mode():
            logits_C = self.model(**inputs).logits[0]
        confidence, label = torch.softmax(logits_C, -1).max(-1)
        config = self.model.config
        if -torch.logsumexp(logits_C, -1) > config.rejection["energy_threshold"]:
            return config.rejection["unknown_intent"], confidence.item()
        return config.id2label[label.item()], confidence.item()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description="Prints intent and confidence of each line of standard input."
    )
    parser.add_argument("target", help="the published directory, such as assets/models/intent_predictor")
    target = parser.parse_args().target
    if not os.path.isdir(target):
        parser.error(
            f"{target}: no such directory; publish a version: python -m registry.promote --version 1"
        )
    model = PublishedModel(target)
    for line in sys.stdin:
        text = line.strip()
        print(*(model.predict(text) if text else ["can't be answered: text is blank"]), flush=True)
