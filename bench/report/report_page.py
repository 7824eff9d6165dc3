"""report.html of 150 intents and 5,500 rows: how large it is, and how soon a browser has it on the screen.

    PYTHONPATH=src python -m bench.report.report_page    # CLINC150's texts and intents where they are, or made-up ones

The predictions are simulated by a seeded generator: about 95 % right, mistakes mostly on a few likely intents. A load
ends when everything is drawn once and the first frame is painted; seconds of processor time are those of all processes
of the browser. Prints the figures and writes bench/results/report_page.json. Needs Chromium.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
from scipy.special import softmax

from bench import benchmark
from bench.report import browser
from bench.report.browser import Browser
from intents.axes import Floats, Integers
from intents.evaluation.evaluate import evaluate
from intents.evaluation.open_set import by_kind
from intents.models.energy import energy, fit_threshold, is_in_scope
from intents.report.page.content import ReportContent
from intents.report.page.page import page

INTENTS, IN_SCOPE, OUT_OF_SCOPE = 150, 4500, 1000
SIGNAL, RIVAL_SIGNAL, OUT_OF_SCOPE_SIGNAL = 9.5, 6.0, 4.0
LIKELY_RIVALS = 3
MOST_SECONDS, MOST_BYTES = 2.0, 5_000_000


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", default="../shared/data/clinc150", help="corpus (default: %(default)s)")
    parser.add_argument("--loads", type=int, default=15, help="pages loaded (default: %(default)s)")
    arguments = parser.parse_args()
    if browser.program() is None:
        print("no Chromium here: apt-get install chromium", file=sys.stderr)
        return 2
    content = simulated(*corpus(Path(arguments.data)))
    began = time.perf_counter()
    made = page(content)
    figures: dict[str, Any] = {
        "intents": len(content.per_intent),
        "rows": len(content.predictions),
        "bytes": len(made.encode()),
        "seconds_to_make": round(time.perf_counter() - began, 2),
    } | loads(made, count=arguments.loads)
    for name, figure in figures.items():
        print(f"{name:<28} {figure}")
    benchmark.write("report_page", figures)
    return 0 if figures["bytes"] < MOST_BYTES and figures["seconds_to_open_median"] < MOST_SECONDS else 1


def corpus(folder: Path) -> tuple[pd.DataFrame, pd.Series]:
    """In-scope rows (text, label) and out-of-scope texts."""
    if (folder / "test.jsonl").is_file():
        rows = pd.read_json(folder / "test.jsonl", lines=True)[["text", "label"]]
        return rows, pd.read_json(folder / "oos_test.jsonl", lines=True)["text"]
    labels = [f"intent {number % INTENTS:03}" for number in range(IN_SCOPE)]
    texts = [
        f"made-up utterance {number}, as long as a real one" for number in range(IN_SCOPE + OUT_OF_SCOPE)
    ]
    return pd.DataFrame({"text": texts[:IN_SCOPE], "label": labels}), pd.Series(texts[IN_SCOPE:])


def simulated(rows: pd.DataFrame, out_of_scope: pd.Series) -> ReportContent:
    """What a run on these rows could have measured."""
    generator = np.random.default_rng(0)
    intents = sorted(rows["label"].unique())
    labels_B = rows["label"].map({intent: label for label, intent in enumerate(intents)}).to_numpy()
    logits_BC = simulated_logits(labels_B, len(intents), generator)
    logits_NC = generator.normal(size=(len(out_of_scope), len(intents)))
    winners_N = generator.integers(len(intents), size=len(out_of_scope))
    logits_NC[np.arange(len(out_of_scope)), winners_N] += generator.normal(
        OUT_OF_SCOPE_SIGNAL, 1.5, len(winners_N)
    )
    energies_B, energies_N = energy(logits_BC), energy(logits_NC)
    threshold = fit_threshold(energies_B, target_acceptance=0.95)
    report = evaluate(
        logits_BC, labels_B, intents=intents, threshold=threshold, out_of_scope_logits_NC=logits_NC
    )
    tables = [
        predictions(rows["text"], logits_BC, true=rows["label"], kind="", intents=intents),
        predictions(out_of_scope, logits_NC, true="", kind="out of scope", intents=intents),
    ]
    both = pd.concat(tables, ignore_index=True)
    return ReportContent(
        title="simulated predictions",
        facts={"corpus": "CLINC150's test part", "predictions": "simulated"},
        metrics=report.metrics,
        per_intent=report.per_intent,
        predictions=both.assign(in_scope=is_in_scope(both["energy"].to_numpy(), threshold)),
        threshold=threshold,
        unknown_intent="Unknown",
        train_rows=dict.fromkeys(intents, 100),
        kinds=by_kind(energies_B, {"out of scope": energies_N}, threshold=threshold),
    )


def simulated_logits(labels_B: Integers, intents: int, generator: np.random.Generator) -> Floats:
    """Noise, a signal for the true intent, and mostly a weaker one for one of its few rivals."""
    rows_B = np.arange(len(labels_B))
    logits_BC = generator.normal(size=(len(labels_B), intents))
    logits_BC[rows_B, labels_B] += generator.normal(SIGNAL, 1.5, len(labels_B))
    rivals_B = (labels_B + generator.integers(1, LIKELY_RIVALS + 1, len(labels_B))) % intents
    logits_BC[rows_B, rivals_B] += generator.normal(RIVAL_SIGNAL, 1.5, len(labels_B))
    return logits_BC


def predictions(
    texts: pd.Series, logits_BC: Floats, *, true: "pd.Series[str] | str", kind: str, intents: list[str]
) -> pd.DataFrame:
    """As `HeldOut.predictions`, but for in_scope."""
    return pd.DataFrame(
        {
            "text": texts.to_numpy(),
            "true_intent": true if isinstance(true, str) else true.to_numpy(),
            "pred_intent": [intents[label] for label in logits_BC.argmax(axis=-1)],
            "confidence": softmax(logits_BC, axis=-1).max(axis=-1),
            "energy": energy(logits_BC),
            "kind": kind,
        }
    )


def loads(made: str, *, count: int) -> dict[str, Any]:
    """Seconds until the page was on the screen, and of processor time that the browser took for it."""
    seconds, processor = [], []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "report.html"
        path.write_text(made, encoding="utf-8")
        with Browser(Path(folder) / "profile") as tab:
            tab.open(path)  # not counted: the browser itself is starting
            for _ in range(count):
                began = processor_seconds(tab.process.pid)
                tab.open(path)
                seconds.append(tab.value("Number(document.documentElement.dataset.ready)") / 1000)
                processor.append(processor_seconds(tab.process.pid) - began)
            assert tab.complaints == []
    return {
        "loads": count,
        "seconds_to_open_median": round(statistics.median(seconds), 2),
        "seconds_to_open_best": round(min(seconds), 2),
        "seconds_to_open_worst": round(max(seconds), 2),
        "processor_seconds_median": round(statistics.median(processor), 2),
        "load_average": round(psutil.getloadavg()[0], 1),
    }


def processor_seconds(process: int) -> float:
    """Of this process and all below it that still run."""
    family = [psutil.Process(process)]
    family += family[0].children(recursive=True)
    return sum(times.user + times.system for times in (member.cpu_times() for member in family))


if __name__ == "__main__":
    sys.exit(main())
