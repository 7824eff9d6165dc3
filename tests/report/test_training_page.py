"""What a training puts on its page: the corpus's findings, in sentences."""

import json
from pathlib import Path

from intents.data import corpus as corpora
from intents.parameters.data import DataConfig
from intents.report import training_page


def test_a_finding_is_told_in_whole_sentences(tmp_path: Path):
    rows = [(f"utterance {i} of {intent}", intent) for intent in ("red", "blue") for i in range(40)]
    rows += [("said of both", intent) for intent in ("red", "blue")]
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(json.dumps({"text": text, "label": intent}) + "\n" for text, intent in rows))
    corpus = corpora.load(DataConfig(data=str(data), workspace=str(tmp_path / "workspace")))
    found = [note.text for note in training_page._findings(corpus)]
    (conflict,) = [text for text in found if "several intents" in text or "under" in text]
    headline, _, advice = conflict.partition(". ")
    assert headline
    assert advice[0].isupper()
    assert advice.endswith(".")
