"""The gate on real runs: what it refuses, what it passes.

    PYTHONPATH=src python -m bench.promotion.gate    # five trainings on CLINC150, three at once, then eight promotions

A TextCNN is trained and published; then each of four others asks to take its place: one of another seed (must pass),
one whose training labels of three intents were shuffled, one trained without any energy term, and one of eight members,
several times slower (all must be refused, each for its own fault). Prints what the gate said of each and writes
bench/results/gate.json; exits with 1 where a verdict is not the one that is due.
"""

import json
import os
import random
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bench import benchmark

ROOT = Path(__file__).parents[2]
RECIPE = {
    "model_name": "minilm",
    "embeddings": "reduced",
    "train_embeddings": "false",
    "channels": "256",
    "label_smoothing": "0",
}
SHUFFLED_INTENTS = 3
NAME, PUBLISHED = "gated", "published"
CANDIDATES: dict[str, dict[str, str]] = {
    "another seed": {"seed": "43"},
    "three intents shuffled": {"seed": "43"},
    "no energy term": {"seed": "43", "energy_weight": "0"},
    "slow": {"seed": "43", "members": "8", "epochs": "1", "min_steps": "0"},
}
FAULTS = {
    "three intents shuffled": "got worse by more than chance",
    "no energy term": "AUROC has changed",
    "slow": "times as long",
}
"""What a refusal must say; whoever has no fault must pass."""


def main() -> int:
    parser = benchmark.flags(__doc__, data=str(ROOT.parent / "shared" / "data" / "clinc150"))
    parser.add_argument("--at_once", type=int, default=3, help="trainings at once (default: %(default)s)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        results = measure(Path(name), Path(arguments.data), at_once=arguments.at_once)
    for result in results.values():
        result["lines"] = [line.replace(name, "…") for line in result["lines"]]
    described = vars(arguments) | {"data": Path(arguments.data).name}
    benchmark.write("gate", {"arguments": described, "verdicts": results})
    wrong = [name for name in CANDIDATES if not _is_due(name, results[name])]
    print(f"not as due: {', '.join(wrong)}" if wrong else "every verdict is the one that is due")
    return int(bool(wrong))


def measure(folder: Path, corpus: Path, *, at_once: int) -> dict[str, Any]:
    """What became of each candidate's promotion."""
    environment = os.environ | {
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}",
        "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}",
        "OMP_NUM_THREADS": "1",
    }
    corpora = {"three intents shuffled": shuffled(corpus, folder / "shuffled")}

    def train(named: tuple[str, dict[str, str]]) -> str:
        name, changes = named
        flags = RECIPE | {"data": str(corpora.get(name, corpus)), "register": NAME} | changes
        flags |= {"workspace": str(folder / "workspaces" / name.replace(" ", "_"))}
        words = [word for flag, value in flags.items() for word in (f"--{flag}", value)]
        done = subprocess.run(
            [sys.executable, "-m", "intents.cli", "train_cnn", *words],
            cwd=folder, env=environment, check=False, capture_output=True, text=True,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{name}: {done.stderr[-2000:]}")
        (line,) = [
            line for line in done.stdout.splitlines() if line.startswith(f"registered {NAME} version ")
        ]
        version = line.split("version ")[1].split(";")[0]
        print(f"{name}: version {version}; {done.stdout.splitlines()[-4]}", flush=True)
        return version

    results = {}
    with ThreadPoolExecutor(at_once) as pool:
        first, *versions = pool.map(train, [(PUBLISHED, {}), *CANDIDATES.items()])
    for name, version in zip(CANDIDATES, versions, strict=True):
        _promote(folder, environment, first, "--force", "the one that the next is held against")
        results[name] = _promote(folder, environment, version)
        print(f"\n{name}: {results[name]['action']}")
        print("\n".join(f"    {line}" for line in results[name]["lines"]))
    return results


def _is_due(name: str, result: dict[str, Any]) -> bool:
    if name not in FAULTS:
        return bool(result["action"] == "published")
    return result["action"] == "refused" and FAULTS[name] in "\n".join(result["lines"])


def shuffled(corpus: Path, folder: Path) -> Path:
    """A copy of the corpus in which the training labels of three intents are dealt out among them at random."""
    folder.mkdir()
    for file in corpus.glob("*.jsonl"):
        rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        if file.name == "train.jsonl":
            intents = sorted({row["label"] for row in rows})[:SHUFFLED_INTENTS]
            chosen = [row for row in rows if row["label"] in intents]
            labels = [row["label"] for row in chosen]
            random.Random(0).shuffle(labels)
            for row, label in zip(chosen, labels, strict=True):
                row["label"] = label
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (folder / file.name).write_text("".join(lines), encoding="utf-8")
    return folder


def _promote(folder: Path, environment: dict[str, str], version: str, *more: str) -> dict[str, Any]:
    command = ["--name", NAME, "--target", str(folder / "published"), "--version", version, *more]
    done = subprocess.run(
        [sys.executable, "-m", "registry.promote", *command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    said = (done.stdout + done.stderr).splitlines()
    return {"action": "published" if done.returncode == 0 else "refused", "lines": said}


if __name__ == "__main__":
    sys.exit(main())
