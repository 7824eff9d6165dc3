"""What the benchmarks share: flags for the corpus and the encoder, and results that say where they were measured."""

import argparse
import json
from pathlib import Path
from typing import Any

from bench.machine import machine

RESULTS = Path(__file__).parent / "results"


def flags(description: str | None, *, data: str) -> argparse.ArgumentParser:
    """A parser of --data, with this default, and --model_name; a benchmark adds its own flags."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", default=data, help="corpus (default: %(default)s)")
    parser.add_argument("--model_name", default="minilm", help="encoder (default: %(default)s)")
    return parser


def write(name: str, results: dict[str, Any]) -> None:
    """Writes the results of the benchmark of this name to bench/results, the machine beside them."""
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps({"benchmark": name, **results, "machine": machine()}, indent=2)
    (RESULTS / f"{name}.json").write_text(text + "\n")
