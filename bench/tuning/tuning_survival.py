"""Studies under hardship: cold starts of many workers, and workers killed at random.

    PYTHONPATH=src python -m bench.tuning.tuning_survival --only cold_starts    # 20 fresh storages, 8 workers each
    PYTHONPATH=src python -m bench.tuning.tuning_survival --only kills          # 100 SIGKILLs of workers

A cold start is one `tune` of 8 workers in an empty folder: its study must have every trial, each number once, and
MLflow a finished run for each. Kills hit a worker drawn at random, at random moments, until there were so many; every
trial that was ever seen finished must still be there with its value when the study is complete, and no run may count
as running. Prints the counts, exits with 1 where anything was lost, and writes bench/results/tuning_<name>.json.
"""

import argparse
import contextlib
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import optuna
import psutil
from mlflow.tracking import MlflowClient
from optuna.trial import TrialState

from bench import benchmark
from intents.tuning import storage, trials

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "assets" / "samples" / "chat_zh"
FIXED = "min_steps=0,channels=8,embedding_size=16,kernel_sizes=2,batch_size=64,patience=0"
STUDY, LOG = "hardship", "log"
MOST_SECONDS = 1800
PAUSE_SECONDS = (3, 10)
"""Between kills: a worker takes some seconds to start."""
Figures = dict[str, Any]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=BENCHES, required=True)
    parser.add_argument("--starts", type=int, default=20, help="cold starts (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=8, help="of each cold start (default: %(default)s)")
    parser.add_argument("--kills", type=int, default=100, help="SIGKILLs (default: %(default)s)")
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    figures = BENCHES[arguments.only](arguments)
    print("\n".join(f"{what:<48} {figure}" for what, figure in figures.items()))
    benchmark.write(f"tuning_{arguments.only}", {"arguments": vars(arguments), **figures})
    return int(any(figure for what, figure in figures.items() if what.endswith("(must be 0)")))


def cold_starts(arguments: argparse.Namespace) -> Figures:
    """Studies that begin with nothing there: what they end with."""
    failed = lost = runs_lost = repeated = 0
    for number in range(arguments.starts):
        with tempfile.TemporaryDirectory() as name:
            folder, wanted = Path(name), 2 * arguments.workers
            began = time.monotonic()
            process = _tune(folder, n_trials=wanted, n_jobs=arguments.workers, fixed=f"epochs=2,{FIXED}")
            process.wait(MOST_SECONDS)
            seconds = time.monotonic() - began
            failed += process.returncode != 0
            settled = trials.settled(_study(folder)) if process.returncode == 0 else []
            numbers = [trial.number for trial in settled]
            lost += wanted - len(numbers)
            repeated += len(numbers) - len(set(numbers))
            statuses = _trial_statuses(folder)
            runs_lost += wanted - statuses.count("FINISHED")
            print(
                f"{number + 1:3} exit {process.returncode}, {len(numbers)} trials, {seconds:.0f} s",
                flush=True,
            )
            if process.returncode:
                print((folder / LOG).read_text()[-2000:])
    return {
        "cold starts": arguments.starts,
        "workers in each": arguments.workers,
        "trials wanted": 2 * arguments.workers * arguments.starts,
        "studies that failed (must be 0)": failed,
        "trials lost (must be 0)": lost,
        "trials twice (must be 0)": repeated,
        "trials without a finished run (must be 0)": runs_lost,
    }


def kills(arguments: argparse.Namespace) -> Figures:
    """Studies whose workers are killed until there were enough kills: what is lost."""
    generator = random.Random(0)
    done = studies = changed = unfinished = running = repetitions = 0
    while done < arguments.kills:
        with tempfile.TemporaryDirectory() as name:
            folder, wanted = Path(name), 60
            process = _tune(folder, n_trials=wanted, n_jobs=3, fixed=f"epochs=12,{FIXED}")
            seen, killed = _kill_now_and_then(process, folder, generator, most=arguments.kills - done)
            process.wait(MOST_SECONDS)
            if process.returncode:
                print((folder / LOG).read_text()[-2000:])
            study = _study(folder)
            values = {trial.number: trial.value for trial in trials.settled(study)}
            changed += sum(values.get(number, "gone") != value for number, value in seen.items())
            unfinished += wanted - len(values)
            running += _trial_statuses(folder).count("RUNNING") + len(trials.running(study))
            repetitions += sum(trials.RETRY_OF in trial.user_attrs for trial in trials.every(study))
            done, studies = done + killed, studies + 1
            print(
                f"study {studies}: {killed} kills, {len(values)} trials, exit {process.returncode}",
                flush=True,
            )
    return {
        "kills": done,
        "studies": studies,
        "trials cut off and tried again": repetitions,
        "finished trials lost or changed (must be 0)": changed,
        "trials missing when the study ended (must be 0)": unfinished,
        "still running (must be 0)": running,
    }


def _kill_now_and_then(
    process: subprocess.Popen[bytes], folder: Path, generator: random.Random, *, most: int
) -> tuple[dict[int, Any], int]:
    """The values of all trials ever seen finished, and how many workers were killed."""
    seen: dict[int, Any] = {}
    killed = 0
    pause = time.monotonic() + generator.uniform(*PAUSE_SECONDS)
    while process.poll() is None:
        time.sleep(0.2)
        if (folder / "workspace" / "studies" / f"{STUDY}.jsonl").exists():
            seen |= {trial.number: trial.value for trial in _settled_if_begun(folder)}
        if killed < most and time.monotonic() > pause:
            workers = _workers_of(process.pid)
            if workers:
                generator.choice(workers).kill()
                killed += 1
            pause = time.monotonic() + generator.uniform(*PAUSE_SECONDS)
    return seen, killed


def _workers_of(pid: int) -> list[psutil.Process]:
    """The living processes that the command started; multiprocessing's own helper is not one."""
    workers = []
    with contextlib.suppress(psutil.NoSuchProcess):
        for child in psutil.Process(pid).children():
            with contextlib.suppress(psutil.NoSuchProcess):
                if "spawn_main" in " ".join(child.cmdline()):
                    workers.append(child)
    return workers


def _settled_if_begun(folder: Path) -> list[optuna.trial.FrozenTrial]:
    try:
        return [t for t in trials.settled(_study(folder)) if t.state != TrialState.FAIL]
    except KeyError:
        return []


def _tune(folder: Path, *, n_trials: int, n_jobs: int, fixed: str) -> subprocess.Popen[bytes]:
    flags = {
        "data": SAMPLE,
        "workspace": folder / "workspace",
        "study": STUDY,
        "n_trials": n_trials,
        "n_jobs": n_jobs,
        "hyperparams": fixed,
    }
    words = [word for name, value in flags.items() for word in (f"--{name}", str(value))]
    environment = os.environ | {
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}",
        "PYTHONPATH": str(ROOT / "src"),
    }
    with (folder / LOG).open("w") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "intents.cli", "tune", *words],
            cwd=ROOT,
            env=environment,
            stdout=log,
            stderr=log,
        )


def _study(folder: Path) -> optuna.Study:
    opened = storage.opened("", study=STUDY, workspace=folder / "workspace")
    return optuna.load_study(study_name=STUDY, storage=opened)


def _trial_statuses(folder: Path) -> list[str]:
    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    return [
        run.info.status for run in client.search_runs(["0"], f"tags.study = '{STUDY}' and tags.trial != ''")
    ]


BENCHES = {"cold_starts": cold_starts, "kills": kills}

if __name__ == "__main__":
    sys.exit(main())
