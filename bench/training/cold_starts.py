"""Processes that open one fresh tracking database at the same moment: how many fail.

    PYTHONPATH=src python -m bench.training.cold_starts                # 20 databases, 8 processes each

Each process connects as every command does, begins a run, logs to it and ends it. Prints the failures and writes
bench/results/cold_starts.json.
"""

import argparse
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench import benchmark

ROOT = Path(__file__).parents[2]
STARTING = """
import sys, time
import mlflow
from intents.tracking import runs, store as stores
time.sleep(max(0.0, float(sys.argv[1]) - time.time()))
stores.connect()
with runs.started_with({"number": sys.argv[2]}, name=f"cold start {sys.argv[2]}"):
    mlflow.log_metric("value", 1.0)
"""
WARM_UP_SECONDS = 12.0
"""Imports take seconds; every process waits for the same moment."""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--databases", type=int, default=20, help="fresh databases (default: %(default)s)")
    parser.add_argument("--processes", type=int, default=8, help="processes for each (default: %(default)s)")
    arguments = parser.parse_args()
    rows = []
    for number in range(arguments.databases):
        with tempfile.TemporaryDirectory() as folder:
            rows.append(cold_start(Path(folder), arguments.processes))
        print(f"{number + 1:3} {rows[-1]}", flush=True)
    failures = sum(row["failed"] for row in rows)
    print(f"{failures} of {arguments.databases * arguments.processes} processes failed")
    benchmark.write("cold_starts", {"rows": rows, "failures": failures, **vars(arguments)})
    return 0


def cold_start(folder: Path, processes: int) -> dict[str, Any]:
    """How many of the processes failed, and how many runs the database holds as finished afterwards."""
    environment = os.environ | {
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}",
        "PYTHONPATH": str(ROOT / "src"),
        "OMP_NUM_THREADS": "1",
    }
    moment = str(time.time() + WARM_UP_SECONDS)
    started = [
        subprocess.Popen(
            [sys.executable, "-c", STARTING, moment, str(number)],
            cwd=folder,
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(processes)
    ]
    errors = [process.communicate()[1] for process in started]
    failed = sum(process.returncode != 0 for process in started)
    for process, error in zip(started, errors, strict=True):
        if process.returncode:
            print(error, file=sys.stderr)
    with sqlite3.connect(folder / "mlflow.db") as database:
        (finished,) = database.execute("SELECT count(*) FROM runs WHERE status = 'FINISHED'").fetchone()
    return {"failed": failed, "finished_runs": finished}


if __name__ == "__main__":
    sys.exit(main())
