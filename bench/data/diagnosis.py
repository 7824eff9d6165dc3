"""How well check_data finds wrong labels: some are made wrong on purpose, in real corpora, and looked for.

    PYTHONPATH=src python -m bench.data.diagnosis

Of one intent, 3 % of the rows (at least one) get the label of another intent, drawn at random from all, or from the
three it is most confused with; that is done for several intents, one at a time, then for all at once.
Recall: planted rows that are doubted. Precision: planted ones among the rows that are doubted and were not before.
Right: planted rows that are doubted, their own intent suggested.
Prints a table and writes bench/results/diagnosis.json.
"""

import argparse
import dataclasses
import sys
import tempfile
import time
from typing import Any

import numpy as np

from bench import benchmark
from intents.data import corpus as corpora
from intents.data.corpus import Corpus
from intents.diagnosis import confusions, examination
from intents.diagnosis.confusions import LABEL_ERRORS
from intents.diagnosis.finding import Evidence
from intents.parameters.data import DataConfig

SHARED = "../shared/data"
CORPORA = {
    "telemarketing_intent_cn + crosswoz": f"{SHARED}/telemarketing_intent_cn/telemarketing_intent_cn.jsonl,"
    f"{SHARED}/crosswoz/crosswoz.jsonl",
    "clinc150": f"{SHARED}/clinc150",
}
SHARE = 0.03
ROW = ["dataset", "part", "line"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--intents", type=int, default=10, help="intents that are spoiled one at a time")
    drawn = parser.parse_args().intents
    results: list[dict[str, Any]] = []
    for name, data in CORPORA.items():
        with tempfile.TemporaryDirectory() as workspace:
            corpus = corpora.load(DataConfig(data=data, workspace=workspace))
        start = time.process_time()
        known = examination.examined(corpus)
        before = _doubted(known)
        seconds = time.process_time() - start
        generator = np.random.default_rng(0)
        chosen = [str(intent) for intent in generator.permutation(list(corpus.intents))[:drawn]]
        for whence, others in (("all", _all_others(known)), ("the nearest three", _nearest(known))):
            one_by_one = [_found(corpus, {intent: others[intent]}, before, generator) for intent in chosen]
            together = _found(corpus, others, before, generator)
            for what, counts in ((f"{drawn}, one at a time", _sum(one_by_one)), ("all at once", together)):
                named = {"corpus": name, "spoiled": what, "from": whence, "seconds": seconds}
                results.append({**named, **_rates(counts)})
                print(results[-1], flush=True)
    benchmark.write("diagnosis", {"rows": results})
    print(
        "| corpus | spoiled | planted | recall | precision | right |\n| --- | --- | --- | --- | --- | --- |"
    )
    for r in results:
        rates = " | ".join(f"{r[name]:.2f}" for name in ("recall", "precision", "right"))
        print(f"| {r['corpus']} | {r['spoiled']} | {r['from']} | {r['planted']} | {rates} |")
    return 0


def _all_others(known: Evidence) -> dict[str, list[str]]:
    return {intent: [other for other in known.intents if other != intent] for intent in known.intents}


def _nearest(known: Evidence) -> dict[str, list[str]]:
    """Of each intent the three that its rows are most often given instead, by probability."""
    nearest = {}
    for i, intent in enumerate(known.intents):
        mean_C = known.probabilities_BC[known.labels_B == i].mean(axis=0)
        mean_C[i] = -1
        nearest[intent] = [known.intents[j] for j in np.argsort(-mean_C)[:3]]
    return nearest


def _doubted(known: Evidence) -> dict[tuple[Any, ...], str]:
    """The suggestion for each row whose label is doubted, by its place."""
    found = confusions.findings(known)
    rows = next(finding.rows for finding in found if finding.kind == LABEL_ERRORS)
    return dict(zip(rows[ROW].itertuples(index=False, name=None), rows["suggested"], strict=True))


def _found(
    corpus: Corpus,
    others: dict[str, list[str]],
    before: dict[tuple[Any, ...], str],
    generator: np.random.Generator,
) -> dict[str, int]:
    """What is found of labels made wrong in each intent of `others`, which gives the labels to draw from."""
    labels = corpus.rows["label"].copy()
    planted: dict[tuple[Any, ...], str] = {}
    for intent, wrong in others.items():
        places = np.flatnonzero(corpus.rows["label"] == intent)
        for place in generator.choice(places, max(1, round(SHARE * len(places))), replace=False):
            labels.iloc[place] = str(generator.choice(wrong))
            planted[tuple(corpus.rows.iloc[place][ROW])] = intent
    after = _doubted(examination.examined(dataclasses.replace(corpus, rows=corpus.rows.assign(label=labels))))
    hits = planted.keys() & after.keys()
    return {
        "planted": len(planted),
        "hits": len(hits),
        "new": len(hits | (after.keys() - before.keys())),
        "right": sum(after[row] == planted[row] for row in hits),
    }


def _sum(counts: list[dict[str, int]]) -> dict[str, int]:
    return {name: sum(count[name] for count in counts) for name in counts[0]}


def _rates(counts: dict[str, int]) -> dict[str, float]:
    return {
        "planted": counts["planted"],
        "recall": counts["hits"] / counts["planted"],
        "precision": counts["hits"] / counts["new"] if counts["new"] else 0.0,
        "right": counts["right"] / counts["planted"],
    }


if __name__ == "__main__":
    sys.exit(main())
