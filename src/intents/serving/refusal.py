"""What is answered in place of predictions: one line, under the right HTTP status, and nothing else."""

from typing import Any

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import BAD_REQUEST, INTERNAL_ERROR, TEMPORARILY_UNAVAILABLE


class Refusal(MlflowException):  # type: ignore[misc]
    """A message that stays as it is: MLflow's server writes the request's data into those it passes on."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name != "message" or "message" not in self.__dict__:
            super().__setattr__(name, value)


def bad_request(message: str) -> Refusal:
    """400: the request must be another."""
    return Refusal(message, BAD_REQUEST)


def busy(message: str) -> Refusal:
    """503: the same request, later."""
    return Refusal(message, TEMPORARILY_UNAVAILABLE)


def broken(message: str) -> Refusal:
    """500: the model is at fault, whatever is asked."""
    return Refusal(message, INTERNAL_ERROR)
