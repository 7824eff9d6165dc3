"""What is answered in place of predictions: one line, under the right HTTP status, and nothing else."""

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import BAD_REQUEST, INTERNAL_ERROR, TEMPORARILY_UNAVAILABLE


class Refusal(MlflowException):  # type: ignore[misc]
    """A message for the client, as it is."""


class OtherTypeRefusal(Refusal):
    """415: the body is of a type that nobody reads. MLflow has no error code for it."""

    def get_http_status_code(self) -> int:
        return 415


def bad_request(message: str) -> Refusal:
    """400: the request must be another."""
    return Refusal(message, BAD_REQUEST)


def other_type(message: str) -> Refusal:
    """415: the body's type must be another."""
    return OtherTypeRefusal(message, BAD_REQUEST)


def busy(message: str) -> Refusal:
    """503: the same request, later."""
    return Refusal(message, TEMPORARILY_UNAVAILABLE)


def broken(message: str) -> Refusal:
    """500: the model is at fault, whatever is asked."""
    return Refusal(message, INTERNAL_ERROR)
