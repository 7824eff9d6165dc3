"""Libraries that talk too much."""

import logging

CHATTY = ("alembic", "mlflow.types.type_hints", "mlflow.models.signature")

SAYS_TWICE = "mlflow.store.db.utils"
"""It logs with a traceback what it raises too."""


def quieten() -> None:
    """Libraries say only what matters; progress bars other than the training's are off."""
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger(SAYS_TWICE).setLevel(logging.CRITICAL)
