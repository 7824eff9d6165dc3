"""The model card: what a registered version is, how good, where its limits are, how it is called. Markdown."""

from collections.abc import Mapping

import pandas as pd

from intents.data.corpus import Corpus
from intents.data.parts import TEST, TRAIN, VALIDATION
from intents.evaluation.evaluate import EvaluationReport
from intents.evaluation.names import METRICS
from intents.parameters.training.train import TrainConfig
from intents.training.stages import TrainingResult

FEW_TEST_ROWS = 20
WORST_INTENTS = 5
HEADLINES = ("accuracy", "f1_weighted", "f1_macro", "ece", "auroc", "fpr95", "oos_recall", "osr_recall")
IMPORT_FIRST = "`import intents` first: the architecture is this project's own."


def card(config: TrainConfig, corpus: Corpus, *, result: TrainingResult, run_id: str) -> str:
    """The card of a trained model."""
    hyperparams = config.hyperparams
    report = result.test.report
    import_first = IMPORT_FIRST if type(result.module).__module__.startswith("intents.") else ""
    return "\n".join(
        [
            f"{hyperparams.FAMILY} over {hyperparams.model_name}, {len(corpus.intents)} intents, run {run_id}",
            "",
            "**Data.** " + _data(corpus),
            "",
            "| on the test part | |",
            "| --- | --- |",
            *(
                f"| {METRICS[name].in_full} | {_shown(report.metrics, name)} |"
                for name in HEADLINES
                if name in report.metrics
            ),
            *_baseline(result.facts),
            "",
            "**Limits.** " + _limits(report, corpus),
            "",
            "**Calling it.** `mlflow models serve -m models:/<name>/<version> --env-manager local`, then POST "
            f'`{{"inputs": ["…"]}}` to `/invocations`. What lies above energy {result.rejection.energy_threshold:.3f} '
            f"is `{hyperparams.unknown_intent}`. Utterances are cut at {hyperparams.max_length} tokens. With plain "
            f"transformers: `AutoModelForSequenceClassification.from_pretrained`. {import_first}",
        ]
    )


def _data(corpus: Corpus) -> str:
    sizes = ", ".join(f"{len(corpus.part(part)):,} {part}" for part in (TRAIN, VALIDATION, TEST))
    return (
        f"{corpus.name} (digest {corpus.digest}): {sizes} rows; {len(corpus.trainable_out_of_scope()):,} "
        f"out-of-scope utterances trained against, {len(corpus.out_of_scope_part(TEST)):,} measured."
    )


def _shown(metrics: Mapping[str, float], name: str) -> str:
    low, high = (metrics.get(f"{name}_ci_{end}") for end in ("low", "high"))
    interval = "" if low is None or high is None else f" [{low:.4f}, {high:.4f}]"
    return f"{metrics[name]:.4f}{interval}"


def _baseline(facts: Mapping[str, float]) -> list[str]:
    return [
        f"| TF-IDF and logistic regression: {METRICS[name].in_full} | {facts[f'baseline_{name}']:.4f} |"
        for name in HEADLINES
        if f"baseline_{name}" in facts
    ]


def _limits(report: EvaluationReport, corpus: Corpus) -> str:
    table: pd.DataFrame = report.per_intent
    tested = table[table["support"] >= FEW_TEST_ROWS].sort_values("f1-score", kind="stable")
    worst = ", ".join(
        f"{intent} (F1 {row['f1-score']:.2f})" for intent, row in tested.head(WORST_INTENTS).iterrows()
    )
    rare = int((table["support"] < FEW_TEST_ROWS).sum())
    lines = [f"Weakest intents with {FEW_TEST_ROWS} test rows or more: {worst or 'none has so many'}."]
    if rare:
        lines.append(f"{rare} of {len(table)} intents have fewer than {FEW_TEST_ROWS} test rows.")
    if not len(corpus.out_of_scope_part(TEST)):
        lines.append("No out-of-scope utterance was measured: what it refuses is unknown.")
    lines.append("One corpus, one split: other channels, times or languages were not measured.")
    return " ".join(lines)
