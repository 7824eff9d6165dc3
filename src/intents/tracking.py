"""MLflow: every call that starts, fills or ends a run. What is trained, and how, is decided below."""

import contextlib
import math
import os
import platform
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import filelock
import mlflow
import pandas as pd
import torch
from mlflow.entities import RunStatus
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

import intents
from intents import pyfunc, training
from intents.config import TrainConfig
from intents.data import corpus as corpora
from intents.data.corpus import Corpus
from intents.data.splitting import TEST, TRAIN, VALIDATION
from intents.errors import IntentsError, TrackingError
from intents.training import TrainingResult

DEFAULT_URI = "sqlite:///mlflow.db"
EXPERIMENT = "intents"
PRODUCTION = "Production"
SERVING_PACKAGES = ("mlflow", "torch", "transformers", "safetensors", "scikit-learn", "scipy", "pandas", "pydantic")
ENVIRONMENT_PACKAGES = (*SERVING_PACKAGES, "accelerate", "tokenizers", "numpy", "pyarrow")


@dataclass(frozen=True)
class RunOutcome:
    """A finished run, and what a person may do with it next."""

    run_id: str
    lines: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join(self.lines)
