"""A model's forward pass by PyTorch, by the recording that the server runs, and by ONNX Runtime.

    pip install onnx onnxscript onnxruntime
    PYTHONPATH=src python -m bench.serving.runtimes <model directory> <texts.jsonl> --threads 1

Median milliseconds of a pass, by utterances in it, on the file's own texts; and of all runtimes the share of utterances
with PyTorch's intent, and the largest difference in energy. Neither package is needed for anything else.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from intents.axes import Floats
from intents.models import directory, energy
from intents.serving.runtime import Runtime

BATCHES = (1, 8, 32, 128)
TEXTS, PASSES = 2_048, 50
OPSET = 18
Run = Callable[[Sequence[Sequence[int]]], Floats]


def main() -> int:
    options = _arguments()
    torch.set_num_threads(options.threads)
    loaded = directory.load(options.directory)
    lines = options.texts.read_text(encoding="utf-8").splitlines()
    runtime = Runtime(loaded)
    rows = runtime.tokens(
        [json.loads(line)["text"] for line in lines[:: max(1, len(lines) // TEXTS)]][:TEXTS]
    )
    runs: dict[str, Run] = {"recorded": runtime.logits}
    runtime = Runtime(loaded)
    runtime._network = _Logits(loaded.module)
    runs = {"pytorch": runtime.logits, **runs}
    with tempfile.TemporaryDirectory() as folder:
        runs |= _onnx(loaded, Path(folder), options.threads)
        expected = _all(runs["pytorch"], rows)
        print(f"{type(loaded.module).__name__}, {options.threads} thread(s)")
        print(f"{'':12}" + "".join(f"{size:>9}" for size in BATCHES) + f"{'same':>10}{'energy':>10}")
        for name, run in runs.items():
            times = "".join(f"{_milliseconds(run, rows, size):9.2f}" for size in BATCHES)
            found = _all(run, rows)
            same = (found.argmax(axis=1) == expected.argmax(axis=1)).mean()
            apart = np.abs(energy.energy(found) - energy.energy(expected)).max()
            print(f"{name:12}{times}{same:10.4f}{apart:10.1e}", flush=True)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("directory", type=Path)
    parser.add_argument("texts", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


class _Logits(torch.nn.Module):
    def __init__(self, module: Any) -> None:
        super().__init__()
        self.module = module

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        logits_BC: torch.Tensor = self.module(input_ids=input_ids, attention_mask=attention_mask).logits
        return logits_BC


def _onnx(loaded: directory.Artifact, folder: Path, threads: int) -> dict[str, Run]:
    import onnxruntime
    from onnxruntime.quantization import QuantType, quantize_dynamic

    ids_BL = torch.ones(2, 48, dtype=torch.long)
    sizes = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    plain, small = folder / "model.onnx", folder / "int8.onnx"
    torch.onnx.export(
        _Logits(loaded.module).eval(),
        (ids_BL, torch.ones_like(ids_BL)),
        plain,
        input_names=["input_ids", "attention_mask"],
        opset_version=OPSET,
        dynamic_shapes={"input_ids": sizes, "attention_mask": sizes},
        external_data=False,
        verbose=False,
    )
    quantize_dynamic(plain, small, weight_type=QuantType.QInt8)
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.log_severity_level = 3
    return {
        name: _session(onnxruntime.InferenceSession(file, settings), loaded)
        for name, file in (("onnx", plain), ("onnx int8", small))
    }


def _session(session: Any, loaded: directory.Artifact) -> Run:
    runtime = Runtime(loaded)
    runtime._network = lambda ids_BL, mask_BL: torch.from_numpy(
        session.run(None, {"input_ids": ids_BL.numpy(), "attention_mask": mask_BL.numpy()})[0]
    )
    return runtime.logits


def _all(run: Run, rows: Sequence[Sequence[int]]) -> Floats:
    return np.concatenate([run(rows[start : start + 64]) for start in range(0, len(rows), 64)])


def _milliseconds(run: Run, rows: Sequence[Sequence[int]], size: int) -> float:
    batches = [rows[start : start + size] for start in range(0, len(rows) - size + 1, size)]
    taken = []
    for number in range(PASSES if size < 32 else PASSES // 3):
        began = time.perf_counter()
        run(batches[number % len(batches)])
        taken.append((time.perf_counter() - began) * 1000)
    return statistics.median(taken[2:])


if __name__ == "__main__":
    sys.exit(main())
