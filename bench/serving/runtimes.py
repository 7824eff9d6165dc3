"""A model's forward pass as the server makes it, by PyTorch, and by what could take its place.

    PYTHONPATH=src python -m bench.serving.runtimes <model directory> <texts.jsonl> --threads 1

A recording by torch.jit, which is deprecated and was served before; with --all torch.export's program and
torch.compile with and without its compiler; ONNX Runtime where it is installed (pip install onnx onnxscript
onnxruntime; nothing else needs it). They take turns, batch by batch, on the file's own texts. Median milliseconds of a
pass, by utterances in it, and in brackets the median of the ratios to the recording: of processor time on one thread,
which other processes hardly change, of the clock on several. Then the seconds that making it ready took, the share of
utterances with PyTorch's intent, and the largest difference in energy.
"""

import argparse
import importlib.util
import json
import random
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from intents.axes import Floats
from intents.models import directory, energy
from intents.models.inference import for_inference
from intents.models.textcnn.config import TextCNNConfig
from intents.serving.runtime import Runtime

BATCHES = (1, 8, 32, 128)
TEXTS, PASSES = 512, 50
OPSET = 18
SERVED, RECORDED, PYTORCH = "served", "recorded", "pytorch"
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
    began = time.perf_counter()
    runs: dict[str, Run] = {SERVED: Runtime(loaded).logits}
    ready = {SERVED: time.perf_counter() - began}
    for name in FEW if not options.all else NETWORKS:
        began = time.perf_counter()
        runs[name] = _with(loaded, NETWORKS[name](_Logits(loaded.module).eval()))
        _all(runs[name], rows[:64]), runs[name](rows[:1])
        ready[name] = time.perf_counter() - began
    with tempfile.TemporaryDirectory() as folder:
        if importlib.util.find_spec("onnxruntime"):
            runs |= _onnx(loaded, Path(folder), options.threads)
        clock = time.thread_time if options.threads == 1 else time.perf_counter
        taken = {size: _taken(runs, rows, size, clock) for size in BATCHES}
    expected = _all(runs[PYTORCH], rows)
    print(f"{type(loaded.module).__name__}, {options.threads} thread(s)")
    print(f"{'':16}" + "".join(f"{size:>16}" for size in BATCHES) + f"{'ready':>8}{'same':>8}{'energy':>9}")
    for name, run in runs.items():
        cells = "".join(f"{_shown(taken[size], name):>16}" for size in BATCHES)
        found = _all(run, rows)
        same = (found.argmax(axis=1) == expected.argmax(axis=1)).mean()
        apart = np.abs(energy.energy(found) - energy.energy(expected)).max()
        print(f"{name:16}{cells}{ready.get(name, np.nan):8.1f}{same:8.4f}{apart:9.1e}", flush=True)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("directory", type=Path)
    parser.add_argument("texts", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--all", action="store_true", help="torch.export and torch.compile too")
    return parser.parse_args()


class _Logits(torch.nn.Module):
    def __init__(self, module: Any) -> None:
        super().__init__()
        self.module = module

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        logits_BC: torch.Tensor = self.module(input_ids=input_ids, attention_mask=attention_mask).logits
        return logits_BC


def _exported(network: torch.nn.Module) -> Any:
    ids_BL = torch.ones(2, 11, dtype=torch.long)
    sizes = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    with torch.no_grad():
        program = torch.export.export(
            network, (ids_BL, torch.ones_like(ids_BL)), dynamic_shapes=(sizes, sizes)
        )
    return program.module(check_guards=False)  # a guard of the TextCNN's refuses what it answers rightly


def _recorded(network: torch.nn.Module) -> Any:
    """As it was served before: a TextCNN's tables, else the module itself, traced and frozen."""
    module = network.module
    own = _Logits(
        for_inference(module) if module.config.model_type == TextCNNConfig.model_type else module
    ).eval()
    ids_BL = torch.ones(2, 4, dtype=torch.long)
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the deprecation
        return torch.jit.freeze(torch.jit.trace(own, (ids_BL, torch.ones_like(ids_BL)), check_trace=False))


NETWORKS: dict[str, Callable[[torch.nn.Module], Any]] = {
    PYTORCH: lambda network: network,
    RECORDED: _recorded,
    "exported": _exported,
    "compile, eager": lambda network: torch.compile(network, backend="eager", dynamic=True),
    "compile": lambda network: torch.compile(network, dynamic=True),
}
FEW = (PYTORCH, RECORDED)


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
    return _with(
        loaded,
        lambda ids_BL, mask_BL: torch.from_numpy(
            session.run(None, {"input_ids": ids_BL.numpy(), "attention_mask": mask_BL.numpy()})[0]
        ),
    )


def _with(loaded: directory.Artifact, network: Any) -> Run:
    runtime = Runtime(loaded)
    runtime._network = network
    return runtime.logits


def _all(run: Run, rows: Sequence[Sequence[int]]) -> Floats:
    return np.concatenate([run(rows[start : start + 64]) for start in range(0, len(rows), 64)])


def _taken(
    runs: dict[str, Run], rows: Sequence[Sequence[int]], size: int, clock: Callable[[], float]
) -> dict[str, list[float]]:
    """Milliseconds of each run's passes: all have the same batches, in turn, each time in another order."""
    batches = [rows[start : start + size] for start in range(0, len(rows) - size + 1, size)]
    taken: dict[str, list[float]] = {name: [] for name in runs}
    order, generator = list(runs), random.Random(0)
    for number in range(2 + PASSES // (1 if size < 32 else 3)):
        generator.shuffle(order)
        for name in order:
            began = clock()
            runs[name](batches[number % len(batches)])
            taken[name].append((clock() - began) * 1000)
    return {name: times[2:] for name, times in taken.items()}


def _shown(taken: dict[str, list[float]], name: str) -> str:
    ratios = [own / recorded for own, recorded in zip(taken[name], taken[RECORDED], strict=True)]
    return f"{statistics.median(taken[name]):.2f} ({statistics.median(ratios):.2f})"


if __name__ == "__main__":
    sys.exit(main())
