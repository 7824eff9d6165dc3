"""The examination of a corpus: all that is found, what would help most first."""

from typing import Any

from intents.data.corpus import Corpus
from intents.data.parts import TEST
from intents.data.problems import plain, quoted
from intents.diagnosis import confusions, lookalikes, repeats, spelling
from intents.diagnosis.finding import Evidence, Finding, evidence
from intents.evaluation import baseline
from intents.system.console import Say

FOLDS, SEED = 5, 0
EXAMPLES = 3


def diagnose(corpus: Corpus, *, tokenizer: Any = None, say: Say = lambda _: None) -> tuple[Finding, ...]:
    """The findings, ranked by the test errors that each is expected to cause or hide.

    With a `tokenizer` the utterances it can't spell are looked for too. `say` hears how far the slow part has come.
    """
    return ranked(examined(corpus, say=say), tokenizer=tokenizer)


def ranked(known: Evidence, *, tokenizer: Any = None) -> tuple[Finding, ...]:
    """The findings of what is known, ranked."""
    found = [*confusions.findings(known), *repeats.findings(known), *lookalikes.findings(known)]
    if tokenizer is not None:
        found += spelling.findings(known, tokenizer)
    return tuple(sorted(found, key=lambda finding: -finding.estimate))


def examined(corpus: Corpus, *, say: Say = lambda _: None) -> Evidence:
    """What the baseline, trained on other rows each time, says of every row."""
    rows = len(corpus.rows)
    probabilities_BC = baseline.out_of_fold_probabilities(
        list(corpus.rows["text"]),
        corpus.label_ids(),
        folds=FOLDS,
        seed=SEED,
        number_of_intents=len(corpus.intents),
        on_fold=lambda fold: say(f"asking the baseline of each of {rows:,} rows: part {fold} of {FOLDS}"),
    )
    return evidence(corpus, probabilities_BC)


def described(findings: tuple[Finding, ...], known: Evidence) -> list[str]:
    """A few lines a finding, for a person at a terminal."""
    tested = int((known.rows["part"] == TEST).sum())
    lines = [
        f"findings, by the test errors each is expected to cause or hide (they overlap; the baseline, TF-IDF and "
        f"logistic regression, makes about {known.error_rate * tested:,.0f} in {tested:,} test rows):"
    ]
    for number, finding in enumerate(findings, start=1):
        lines.append(f"{number}. about {finding.estimate:,.0f} error(s): {finding.headline}")
        lines.append(f"   {finding.advice}")
        for row in finding.rows.head(EXAMPLES).itertuples():
            example = f"{quoted(row.text)} ({plain(row.label)}) {row.reason}"
            lines.append(f"   - {row.dataset} line {row.line}: {example}")
    return lines if findings else ["findings: none"]
