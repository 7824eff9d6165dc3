"""What a study found, to look at: one page that needs no network, a table, the best values."""

import json
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
from optuna import visualization
from optuna.exceptions import ExperimentalWarning
from optuna.trial import FrozenTrial, TrialState

from intents.data.formats import spreadsheets
from intents.report.page.skeleton import filled
from intents.tracking.tags import COMPLETE, FAILED, PRUNED
from intents.tuning import trials

PAGE, TABLE, BEST = "tuning.html", "trials.csv", "best_params.json"
WORDS = {TrialState.COMPLETE: COMPLETE, TrialState.PRUNED: PRUNED, TrialState.FAIL: FAILED}
LEAST_FOR_IMPORTANCE = 4
"""Complete trials; fewer say nothing about importance."""


def write(study: optuna.Study, folder: Path, *, metric: str) -> None:
    """Writes page, table and best values into the folder."""
    spreadsheets.write(table(study), folder / TABLE)
    found = best(study)
    if found is not None:
        values = json.dumps(found.params, ensure_ascii=False, indent=2)
        (folder / BEST).write_text(values + "\n", encoding="utf-8")
    (folder / PAGE).write_text(page(study, metric=metric), encoding="utf-8")


def best(study: optuna.Study) -> FrozenTrial | None:
    """The complete trial with the best value, the earliest of several; None where there is none."""
    complete = trials.of_state(study, TrialState.COMPLETE)
    sign = -1 if study.direction == optuna.study.StudyDirection.MAXIMIZE else 1
    return min(complete, key=lambda trial: (sign * (trial.value or 0.0), trial.number), default=None)


def table(study: optuna.Study) -> pd.DataFrame:
    """One row a trial that counts: number, state, value, epochs, seconds, the reason of a failure, its values."""
    rows = [
        {
            "trial": trial.number,
            "state": WORDS[trial.state],
            "value": trial.value if trial.state == TrialState.COMPLETE else None,
            "epochs": len(trial.intermediate_values),
            "seconds": trial.duration.total_seconds() if trial.duration else None,
            "run": trial.user_attrs.get(trials.RUN, ""),
            "failure": trial.user_attrs.get(trials.FAILURE, ""),
            **trial.params,
        }
        for trial in trials.settled(study)
    ]
    return pd.DataFrame(rows)


def page(study: optuna.Study, *, metric: str) -> str:
    """The page: what was found, then the pictures."""
    found = best(study)
    counts = Counter(WORDS[trial.state] for trial in trials.settled(study))
    summary = ", ".join(f"{count} {state}" for state, count in counts.most_common()) or "no trial yet"
    return filled(
        "study.html.j2",
        title=study.study_name,
        summary=f"{metric}; {summary}",
        best=f"Best: trial {found.number}, {metric} {found.value:.4f}" if found else "",
        values=[(name, _short(value)) for name, value in found.params.items()] if found else [],
        figures=[
            # The first picture brings the library along for all of them.
            (name, figure.to_html(full_html=False, include_plotlyjs=number == 0))
            for number, (name, figure) in enumerate(_figures(study, metric))
        ],
    )


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _figures(study: optuna.Study, metric: str) -> Iterator[tuple[str, Any]]:
    """The pictures that so many trials allow."""
    counted = optuna.create_study(direction=study.direction)
    counted.add_trials(trials.settled(study))
    complete = len(trials.of_state(study, TrialState.COMPLETE))
    drawn: tuple[tuple[str, int, Callable[..., Any]], ...] = (
        ("History", 1, visualization.plot_optimization_history),
        ("Epochs", 1, visualization.plot_intermediate_values),
        ("Importance", LEAST_FOR_IMPORTANCE, visualization.plot_param_importances),
        ("Values together", 2, visualization.plot_parallel_coordinate),
        ("Values one by one", 2, visualization.plot_slice),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        for title, least, plot in drawn:
            if complete >= least:
                named = {} if plot is visualization.plot_intermediate_values else {"target_name": metric}
                yield (
                    title,
                    plot(counted, **named).update_layout(template="plotly_white", title=None, margin_t=40),
                )
