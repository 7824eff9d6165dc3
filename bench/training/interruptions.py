"""Trainings killed at random moments, and gone on with: how many get to the end, what they lose, where they end.

    PYTHONPATH=src python -m bench.training.interruptions              # 20 trainings of the bundled sample, SIGKILL

One training runs to its end. Each of the others is killed at a moment drawn at random between its first complete
checkpoint and its end, then gone on with by `resume`; what of it was done is read from its MLflow history. Prints a
table and writes bench/results/interruptions.json.
"""

import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from mlflow.tracking import MlflowClient

from bench import benchmark
from intents.tracking.training.resume import CHECKPOINTS
from intents.training import checkpoints

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "assets" / "samples" / "chat_zh"
METRIC = "test_f1_weighted"


def main() -> int:
    parser = benchmark.flags(__doc__, data=str(SAMPLE))
    parser.add_argument("--kills", type=int, default=20, help="trainings to kill (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=8, help="epochs of each (default: %(default)s)")
    parser.set_defaults(model_name="char")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        results = measure(arguments, Path(folder))
    benchmark.write("interruptions", results)
    resumed = [row for row in results["killed"] if row["finished"]]
    lost = max((row["epochs_lost"] for row in resumed), default=0)
    print(
        f"{len(resumed)} of {arguments.kills} went on to the end; at most {lost} epoch(s) had to be repeated"
    )
    print(
        f"{METRIC}: {results['uninterrupted']:.4f} uninterrupted; {sorted({r['metric'] for r in resumed})} resumed"
    )
    return 0


def measure(arguments: Any, folder: Path) -> dict[str, Any]:
    """The uninterrupted training's metric, and a row for each that was killed."""
    os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder / 'mlflow.db'}"
    flags = {
        "data": arguments.data,
        "model_name": arguments.model_name,
        "epochs": str(arguments.epochs),
        "min_steps": "0",
        "register": "",
        "blacklist": str(ROOT / "assets" / "blacklist.txt"),
        "workspace": str(folder / "workspace"),
    }
    began = time.perf_counter()
    whole = finish(flags, folder)
    seconds = time.perf_counter() - began
    rows = []
    for number in range(arguments.kills):
        rows.append(kill_and_resume(flags, folder, random.Random(number), seconds=seconds))
        print(f"{number + 1:3} {rows[-1]}", flush=True)
    return {"uninterrupted": metric_of(whole), "epochs": arguments.epochs, "killed": rows}


def start(flags: dict[str, str], folder: Path) -> "subprocess.Popen[str]":
    """The command as a user starts it."""
    words = [word for name, text in flags.items() for word in (f"--{name}", text)]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    return subprocess.Popen(
        [sys.executable, "-m", "intents.cli", "train_bert", *words],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(flags: dict[str, str], folder: Path) -> str:
    """Trains to the end; the run's id, "" if it failed."""
    with start(flags, folder) as process:
        said, errors = process.communicate()
    if process.returncode:
        print(errors, file=sys.stderr)
        return ""
    found = re.search(r"^run (\w+)$", said, re.MULTILINE)
    assert found
    return found[1]


def kill_and_resume(
    flags: dict[str, str], folder: Path, moment: random.Random, *, seconds: float
) -> dict[str, Any]:
    """Kills a training some time after its first complete checkpoint, and goes on with it."""
    runs = folder / "workspace" / "runs"
    with start(flags, folder) as process:
        while not list(runs.glob(f"*/{CHECKPOINTS}/*/{checkpoints.MARK}")):
            time.sleep(0.01)
        time.sleep(moment.uniform(0, seconds * 0.6))
        process.send_signal(signal.SIGKILL)
        process.communicate()
    left = [path for path in runs.iterdir() if path.is_dir()]
    if not left:  # it was done already
        return kill_and_resume(flags, folder, moment, seconds=seconds)
    (killed,) = left
    done = checkpoints.last_complete(killed / CHECKPOINTS)
    assert done
    client = MlflowClient()
    begun = len(client.get_metric_history(killed.name, "val_f1_weighted"))
    resumed = finish(flags | {"resume": killed.name}, folder)
    return {
        "epochs_done": done[1].epoch,
        "epochs_lost": begun - done[1].epoch,
        "finished": bool(resumed),
        "killed_status": client.get_run(killed.name).info.status,
        "history": len(client.get_metric_history(resumed, "val_f1_weighted")) if resumed else 0,
        "metric": metric_of(resumed) if resumed else None,
    }


def metric_of(run_id: str) -> float:
    """The run's final metric."""
    return float(MlflowClient().get_run(run_id).data.metrics[METRIC])


if __name__ == "__main__":
    sys.exit(main())
