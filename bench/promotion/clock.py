"""How long publishing and rolling back take, beside a plain copy. Part of bench.promotion.promotion."""

import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bench.promotion import publishers, scenes

Figures = dict[str, Any]
ROOT = Path(__file__).parents[2]


def rollback_time(folder: Path, sizes: Figures) -> Figures:
    """`python -m registry.promote --rollback`, from its start to its end, over a model of realistic size."""
    target = next(scenes.places(folder / "large"))
    versions = [
        scenes.large(folder / str(n), sizes["rollback_bytes"], n) for n in range(sizes["rollbacks"] + 1)
    ]
    for number, version in enumerate(versions):
        publishers.publish(target, version, number + 1)
        shutil.rmtree(version)
    seconds = []
    for _ in range(sizes["rollbacks"]):
        began = time.monotonic()
        command = [sys.executable, "-m", "registry.promote", "--target", str(target), "--rollback"]
        subprocess.run(
            command, cwd=ROOT, env=os.environ | {"PYTHONPATH": "src"}, check=True, capture_output=True
        )
        seconds.append(time.monotonic() - began)
    return {
        "rollbacks": len(seconds),
        "megabytes verified in each": sizes["rollback_bytes"] >> 20,
        "median seconds": round(statistics.median(seconds), 3),
        "longest seconds": round(max(seconds), 3),
        "a second or longer (must be 0)": sum(second >= 1 for second in seconds),
    }


def publishing_time(folder: Path, sizes: Figures) -> Figures:
    """A publication beside a plain copy that is synced, in turn; the check that loads the model is left out."""
    version = scenes.large(folder / "version", sizes["copied_bytes"], 0)
    copied, published = [], []
    for number in range(sizes["copies"]):
        began = time.monotonic()
        scenes.copy_and_sync(version, folder / "copy")
        copied.append(time.monotonic() - began)
        shutil.rmtree(folder / "copy")
        target = folder / f"target{number}" / "intent_predictor"
        began = time.monotonic()
        publishers.publish(target, version, 1)
        published.append(time.monotonic() - began)
        shutil.rmtree(target.parent)
    ratio = statistics.median(p / c for p, c in zip(published, copied, strict=True))
    return {
        "megabytes": sizes["copied_bytes"] >> 20,
        "rounds": len(copied),
        "median seconds to copy and sync": round(statistics.median(copied), 3),
        "median seconds to publish": round(statistics.median(published), 3),
        "median ratio": round(ratio, 2),
        f"median ratio above {sizes['ratio']} (must be 0)": int(ratio > sizes["ratio"]),
    }
