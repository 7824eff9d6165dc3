"""The server beside MLflow's own transformers flavour with the same weights; spoiled requests; memory.

    PYTHONPATH=src python -m bench.serving.serving            # ten minutes, and five more to train the first time
    PYTHONPATH=src python -m bench.serving.serving --quick    # two minutes

Trains a MiniLM and a TextCNN for an epoch or two, which is all that speed asks for, keeps them in .intents/, and serves
each by `mlflow models serve`. Clients keep their connections and ask again as soon as they are answered, one utterance
a request. Memory is measured on one core, which is all that it asks for. Prints a table and writes
bench/results/serving.json.
"""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import psutil
import transformers

from bench import benchmark
from bench.serving import load, mutations
from bench.serving.load import Client, Reply
from intents.models import directory as model_directory

ROOT = Path(__file__).parents[2]
CLIENTS = (1, 16)
FLAVOUR, BERT, TEXTCNN = "mlflow.transformers, MiniLM", "intents, MiniLM", "intents, TextCNN"
TRAININGS = {
    BERT: ("train_bert", "--learning_rate 2e-4 --new_weights_factor 5 --batch_size 32 --epochs 1"),
    TEXTCNN: ("train_cnn", "--epochs 2"),
}
MUTATING_CLIENTS = 8


def main() -> int:
    options = _arguments()
    texts = [json.loads(line)["text"] for line in (Path(options.data) / "test.jsonl").open(encoding="utf-8")]
    models = _models(Path(options.data).absolute(), ROOT / ".intents" / "bench_serving")
    seconds, mutated, asked = (3, 500, 2_000) if options.quick else (12, 10_000, 100_000)
    figures: dict[str, Any] = {"data": Path(options.data).name, "speed": {}}
    with tempfile.TemporaryDirectory() as folder:
        for name, model in models.items():
            with _served(model, Path(folder)) as (port, _):
                figures["speed"][name] = _speed(port, texts, seconds)
                print(name, figures["speed"][name], flush=True)
                if name == BERT:
                    figures["mutated"] = asyncio.run(_mutated(port, texts, mutated))
                    print(figures["mutated"], flush=True)
        cores = os.sched_getaffinity(0)
        os.sched_setaffinity(0, [max(cores)])
        with _served(models[TEXTCNN], Path(folder)) as (port, process):
            figures["memory, MB by requests answered"] = asyncio.run(_memory(port, process, texts, asked))
        os.sched_setaffinity(0, cores)
    _report(figures)
    if not options.quick:
        benchmark.write("serving", figures)
    return 0


def _arguments() -> Any:
    parser = benchmark.flags(__doc__, data="../shared/data/clinc150")
    parser.add_argument("--quick", action="store_true", help="a look: short slices, nothing written")
    return parser.parse_args()


def _models(data: Path, folder: Path) -> dict[str, str]:
    """Each model as `mlflow models serve` takes it, trained where it isn't there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    mlflow.set_tracking_uri(f"sqlite:///{folder / 'mlflow.db'}")
    with contextlib.chdir(folder):  # where a SQLite store is first opened, there its artifacts go
        found = {name: _trained(name, data, folder) for name in TRAININGS}
    flavour = folder / "transformers_flavour"
    if not flavour.exists():
        _save_flavour(Path(found[BERT]) / "artifacts" / "model", flavour)
    return {FLAVOUR: str(flavour), **found}


def _trained(name: str, data: Path, folder: Path) -> str:
    command, flags = TRAININGS[name]
    if not mlflow.search_registered_models(filter_string=f"name = '{command}'"):
        print(f"training {name}", flush=True)
        words = [sys.executable, "-m", "intents.cli", command, "--model_name", "minilm", *flags.split()]
        words += ["--data", str(data), "--register", command]
        words += ["--blacklist", str(ROOT / "assets" / "blacklist.txt")]
        environment = os.environ | {
            "MLFLOW_TRACKING_URI": mlflow.get_tracking_uri(),
            "PYTHONPATH": str(ROOT / "src"),
        }
        subprocess.run(words, cwd=folder, env=environment, check=True, capture_output=True)
    return str(mlflow.artifacts.download_artifacts(f"models:/{command}/1"))


def _save_flavour(directory: Path, flavour: Path) -> None:
    loaded = model_directory.load(directory)
    pipeline = transformers.pipeline(
        "text-classification", model=loaded.module, tokenizer=loaded.tokenizer, device="cpu"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlflow.transformers.save_model(pipeline, str(flavour), pip_requirements=["mlflow"])


def _served(model: str, folder: Path) -> Any:
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return load.served(model, folder, environment=environment)


def _body(text: str) -> bytes:
    return json.dumps({"inputs": [text]}).encode()


def _speed(port: int, texts: Sequence[str], seconds: float) -> dict[str, dict[str, float]]:
    """By number of clients: requests a second, and milliseconds of the median and the 95th percentile."""
    bodies = [_body(text) for text in texts]
    load.ask(port, bodies, clients=4, seconds=2)
    found = {}
    for clients in CLIENTS:
        replies, took = load.ask(port, bodies, clients=clients, seconds=seconds)
        assert all(reply.status == 200 for reply in replies)
        p50, p95 = np.percentile([reply.seconds * 1000 for reply in replies], [50, 95])
        found[str(clients)] = {
            "requests_per_second": round(len(replies) / took, 1),
            "p50_ms": round(float(p50), 1),
            "p95_ms": round(float(p95), 1),
        }
    return found


async def _mutated(port: int, texts: Sequence[str], count: int) -> dict[str, Any]:
    """So many spoiled requests, each followed by a sound one."""
    answered: list[Reply] = []
    sound: list[Reply] = []
    numbers = iter(range(count))

    async def run() -> None:
        async with Client(port) as client:
            for number in numbers:
                request = mutations.mutated(texts, number)
                answered.append(await client.post(request.body, request.content_type))
                sound.append(await client.post(_body(texts[number % len(texts)])))

    await asyncio.gather(*(run() for _ in range(MUTATING_CLIENTS)))
    statuses = [reply.status for reply in answered]
    milliseconds = np.array([reply.seconds * 1000 for reply in sound])
    return {
        "requests": count,
        "statuses": {str(status): statuses.count(status) for status in sorted(set(statuses))},
        "stack traces (must be 0)": sum(b"Traceback" in r.body or b"stack_trace" in r.body for r in answered),
        "of 500 and above (must be 0)": sum(status >= 500 for status in statuses),
        "next sound request not answered (must be 0)": sum(reply.status != 200 for reply in sound),
        "next sound request, p50_ms": round(float(np.percentile(milliseconds, 50)), 1),
        "next sound request, p99_ms": round(float(np.percentile(milliseconds, 99)), 1),
    }


async def _memory(port: int, process: int, texts: Sequence[str], count: int) -> dict[str, float]:
    """Megabytes of the server, by requests answered."""
    found: dict[str, float] = {}
    left = iter(range(count + 1))

    async def run() -> None:
        async with Client(port) as client:
            for number in left:
                if number % (count // 10) == 0:
                    tree = [psutil.Process(process), *psutil.Process(process).children(recursive=True)]
                    found[f"{number:,}"] = round(sum(p.memory_info().rss for p in tree) / 2**20, 1)
                await client.post(_body(texts[number % len(texts)]))

    await asyncio.gather(*(run() for _ in range(4)))
    return found


def _report(figures: dict[str, Any]) -> None:
    print(f"\n{'':28} {'clients':>8} {'requests/s':>11} {'p50 ms':>8} {'p95 ms':>8}")
    for name, measured in figures["speed"].items():
        for clients, row in measured.items():
            print(
                f"{name:28} {clients:>8} {row['requests_per_second']:11} {row['p50_ms']:8} {row['p95_ms']:8}"
            )
    theirs, ours = figures["speed"][FLAVOUR], figures["speed"][BERT]
    figures["ratios"] = {
        "requests_per_second at 16 clients (goal: 5 or more)": round(
            ours["16"]["requests_per_second"] / theirs["16"]["requests_per_second"], 2
        ),
        "p95 at 16 clients (goal: 0.5 or less)": round(ours["16"]["p95_ms"] / theirs["16"]["p95_ms"], 2),
        "p50 at one client (goal: 0.6 or less)": round(ours["1"]["p50_ms"] / theirs["1"]["p50_ms"], 2),
    }
    for part in ("ratios", "mutated", "memory, MB by requests answered"):
        print(f"\n{part}" + "".join(f"\n  {name:52} {figure}" for name, figure in figures[part].items()))


if __name__ == "__main__":
    sys.exit(main())
