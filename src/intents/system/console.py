"""What is said while a command runs, and which libraries talk too much."""

import logging
from collections.abc import Callable

Say = Callable[[str], None]

CHATTY = ("alembic", "mlflow.types.type_hints", "mlflow.models.signature")


def quieten() -> None:
    """Libraries say only what matters; progress bars other than the training's are off."""
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
