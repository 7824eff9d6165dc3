"""The page of a training run: what was measured of it and of its data, brought together for `page`."""

from intents.data.corpus import Corpus
from intents.data.parts import TEST, TRAIN, VALIDATION
from intents.diagnosis.examination import diagnose
from intents.parameters.training.train import TrainConfig
from intents.report.page.content import DataNote, ReportContent
from intents.report.page.page import page
from intents.training.stages import TrainingResult

REPORT = "report.html"
EXAMPLES = 20
"""Rows shown of each finding."""
SEVERE_SHARE, NOTABLE_SHARE = 0.01, 0.002
"""Test errors that a finding is expected to cause or hide, as a share of the test rows."""
SHOWN_COLUMNS = ["text", "label", "suggested", "reason", "dataset", "line"]


def report(config: TrainConfig, corpus: Corpus, *, result: TrainingResult, run_id: str, verdict: str) -> str:
    """The page as HTML."""
    hyperparams, test = config.hyperparams, result.test
    return page(
        ReportContent(
            title=f"{hyperparams.FAMILY} {hyperparams.model_name} on {corpus.name}",
            facts=_facts(config, corpus, result=result, run_id=run_id),
            metrics=test.report.metrics,
            per_intent=test.report.per_intent,
            predictions=test.predictions,
            threshold=result.rejection.energy_threshold,
            unknown_intent=hyperparams.unknown_intent,
            verdict=verdict,
            baseline={name: value for name, value in result.facts.items() if name.startswith("baseline_")},
            train_rows={str(k): int(v) for k, v in corpus.part(TRAIN)["label"].value_counts().items()},
            notes=corpus.notes,
            findings=_findings(corpus),
            kinds=test.kinds,
            scores=test.scores,
        )
    )


def _facts(config: TrainConfig, corpus: Corpus, *, result: TrainingResult, run_id: str) -> dict[str, str]:
    hyperparams = config.hyperparams
    return {
        "corpus": f"{corpus.name} (digest {corpus.digest})",
        "rows": ", ".join(f"{len(corpus.part(part)):,} {part}" for part in (TRAIN, VALIDATION, TEST)),
        "intents": str(len(corpus.intents)),
        "family": hyperparams.FAMILY,
        "encoder": hyperparams.model_name,
        "recipe": hyperparams.recipe,
        "seed": str(hyperparams.seed),
        "baseline": "TF-IDF and logistic regression on the same rows",
        "best epoch": f"{result.fit.best_epoch} of {result.fit.epochs_run}",
        "training": f"{result.fit.seconds:.0f} s, {result.fit.samples_per_second:,.0f} samples/s",
        "run": run_id,
    }


def _findings(corpus: Corpus) -> list[DataNote]:
    notes = []
    for finding in diagnose(corpus):
        share = finding.estimate / len(corpus.part(TEST))
        severity = "high" if share >= SEVERE_SHARE else "medium" if share >= NOTABLE_SHARE else "low"
        examples = finding.rows[SHOWN_COLUMNS].head(EXAMPLES)
        notes.append(DataNote(severity, f"{finding.headline}. {finding.advice}", examples))
    return notes
