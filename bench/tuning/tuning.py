"""What tuning finds, what pruning saves, and what a study costs beside its trainings.

    PYTHONPATH=src python -m bench.tuning.tuning                               # 30 trials, and the same without pruning
    PYTHONPATH=src python -m bench.tuning.tuning --n_trials 50 --only pruned   # the cost of a study of 50 trials

The second study tries the values of the first again, in the same order and by as many processes, and prunes none: the
ratio of the two walls is what pruning saves. Overhead is the share of the processes' time, from the command's start to
its end, that no training took. Values are those on validation rows; the test part is not looked at.
"""

import contextlib
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import mlflow
from mlflow.tracking import MlflowClient
from optuna.trial import TrialState

from bench import benchmark
from intents.parameters.data import DataConfig
from intents.parameters.tune import TuneConfig
from intents.system.console import quieten
from intents.tracking.tags import SECONDS
from intents.tuning import page, storage, trials, tune

CORPORA = "../shared/data/telemarketing_intent_cn/telemarketing_intent_cn.jsonl,../shared/data/crosswoz/crosswoz.jsonl"
Figures = dict[str, Any]


def main() -> int:
    arguments = _arguments()
    quieten()
    with contextlib.ExitStack() as stack:
        folder = arguments.folder or stack.enter_context(tempfile.TemporaryDirectory())
        os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder}/mlflow.db"
        data = DataConfig(data=arguments.data, workspace=f"{folder}/workspace")
        pruned, values = _study(data, _config(arguments, "halving"))
        results = {"pruned": pruned}
        if not arguments.only:
            unpruned, _ = _study(data, _config(arguments, "none"), values)
            results["unpruned"] = unpruned
            results["ratio"] = {"wall pruned / unpruned": round(pruned["seconds"] / unpruned["seconds"], 3)}
    for name, figures in results.items():
        print("\n".join([f"\n{name}", *(f"    {what:<34} {figure}" for what, figure in figures.items())]))
    benchmark.write(f"tuning_{arguments.only or 'pruning'}", {"arguments": vars(arguments), **results})
    return 0


def _arguments() -> Any:
    parser = benchmark.flags(__doc__, data=CORPORA)
    parser.add_argument("--n_trials", type=int, default=30)
    parser.add_argument("--n_jobs", type=int, default=1)
    parser.add_argument("--only", choices=("pruned",), default="", help="leave the study without pruning out")
    parser.add_argument("--folder", default="", help="where storage and runs are kept (default: nowhere)")
    return parser.parse_args()


def _config(arguments: Any, pruner: Any) -> TuneConfig:
    return TuneConfig(
        family="textcnn",
        n_trials=arguments.n_trials,
        n_jobs=arguments.n_jobs,
        pruner=pruner,
        study=pruner,
    )


def _study(data: DataConfig, config: TuneConfig, first: list[Any] | None = None) -> tuple[Figures, list[Any]]:
    """A study's figures, and the values of its trials in order."""
    began = time.monotonic()
    outcome = tune.tune(data, config, say=print, first=first or ())
    wall = time.monotonic() - began
    kept = tune.optuna.load_study(
        study_name=outcome.study,
        storage=storage.opened("", study=outcome.study, workspace=Path(data.workspace)),
    )
    settled = sorted(trials.settled(kept), key=lambda trial: trial.number)
    runs = MlflowClient().search_runs(
        [mlflow.get_run(outcome.run_id).info.experiment_id],
        f"tags.`mlflow.parentRunId` = '{outcome.run_id}'",
    )
    trained = sum(run.data.metrics[SECONDS] for run in runs)
    stopped = [trial for trial in settled if trial.state == TrialState.PRUNED]
    complete = [trial.value for trial in settled if trial.value is not None and trial not in stopped]
    best = page.best(kept)
    figures = {
        "trials": len(settled),
        "seconds": round(wall, 1),
        "pruned": len(stopped),
        "defaults": round(settled[0].value or 0.0, 4),
        "best": round(best.value or 0.0, 4) if best else None,
        "best trial": best.number if best else None,
        "best values": best.params if best else None,
        "median of complete": round(statistics.median(complete), 4),
        "overhead": round(1 - trained / (wall * config.n_jobs), 4),
    }
    return figures, [trial.params for trial in settled]


if __name__ == "__main__":
    sys.exit(main())
