"""What a version must pass before it may be published. A check takes its directory and returns what it found."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import intents
from intents.errors import PromotionError
from registry.transaction import Check

SMOKE_SECONDS = 600
INHERITED = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "LD_LIBRARY_PATH",
    "TMPDIR",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
)
"""All that the child knows of this process's environment: no address and no password of a store."""
OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}


@contextlib.contextmanager
def smoke() -> Iterator[Check]:
    """A check that loads the model and lets it predict, in a child process that can't reach a network.

    The child starts at once and imports its libraries while the version is still on its way.
    """
    roots = [Path(__file__).parents[2], Path(intents.__file__).parents[1]]
    environment = {name: os.environ[name] for name in INHERITED if name in os.environ} | OFFLINE
    environment |= {"PYTHONPATH": os.pathsep.join(map(str, roots)), "PYTHONSAFEPATH": "1"}
    pipe = subprocess.PIPE
    command = [sys.executable, "-m", "registry.checks.smoke_child"]
    with subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as child:
        try:
            yield lambda directory: _verdict(child, directory)
        finally:
            child.kill()


def _verdict(child: "subprocess.Popen[str]", directory: Path) -> Mapping[str, Any]:
    try:
        answer, errors = child.communicate(str(directory.resolve()), timeout=SMOKE_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise PromotionError(
            f"{directory}: the model didn't load and predict within {SMOKE_SECONDS} s. Register another version."
        ) from error
    try:
        verdict = json.loads(answer.splitlines()[-1])
    except (ValueError, IndexError) as error:
        last = (errors.strip().splitlines() or ["it said nothing"])[-1][:300]
        raise PromotionError(
            f"{directory}: the process that loaded the model ended with code {child.returncode}: {last}. "
            "Register another version."
        ) from error
    return accepted(verdict)


def accepted(verdict: dict[str, Any]) -> Mapping[str, Any]:
    """What the child found. Raises PromotionError where it refused."""
    if "refused" in verdict:
        raise PromotionError(verdict["refused"])
    return verdict
