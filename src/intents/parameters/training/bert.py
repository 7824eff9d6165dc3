"""The hyperparameters of the family `bert`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from intents.parameters.declaration import AUTO
from intents.parameters.training import recipes
from intents.parameters.training.hyperparams import NOTEBOOK_LOOP, Hyperparams
from intents.parameters.training.recipes import Recipe
from intents.parameters.training.space import Between, OneOf, Range

AS_IT_COMES: Recipe = {
    "max_steps": 0,
    "consistency_rows": 0,
    "contrastive_weight": 0.0,
    "intent_names": "ignore",
    "vocabulary": "full",
    "pooling": "own",
    "head": "random",
    "validation": "held_out",
}
"""Nothing is done to the encoder."""


@dataclass(frozen=True, kw_only=True)
class BertHyperparams(Hyperparams):
    """A transformer encoder with a classification head."""

    FAMILY: ClassVar[str] = "bert"
    ENTRY_POINT: ClassVar[str] = "train_bert"
    MEANING: ClassVar[str] = "fine-tune a transformer encoder, evaluate it, log and register it"
    RECIPES: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        # The fine-tune this project began as, to the letter; it chose its epoch on the test part.
        "notebook": {
            **NOTEBOOK_LOOP,
            "split": "stratified",
            "model_name": "hfl/chinese-bert-wwm-ext",
            "max_length": 128,
            "batch_size": 16,
            "evaluation_batch_size": 32,
            "epochs": 4,
            "learning_rate": 2e-5,
            "weight_decay": 0.01,
            "pooling": "own",
            "head": "random",
        },
    }
    SEARCH_SPACE: ClassVar[Mapping[str, Range]] = {
        "learning_rate": Between(1e-5, 3e-4, is_log=True),
        "new_weights_factor": OneOf((1.0, 3.0, 10.0, 30.0)),
        "batch_size": OneOf((16, 32, 64, 128)),
        "warmup_ratio": Between(0.0, 0.3),
        "weight_decay": Between(1e-3, 0.3, is_log=True),
        "label_smoothing": Between(0.0, 0.2),
    }

    ENCODERS: ClassVar[Mapping[str, Recipe]] = {
        "e5": {
            "batch_size": 32,
            "epochs": 6,
            "min_steps": 150,
            "max_steps": 2000,
            "consistency_rows": 2000,
            "contrastive_weight": 0.5,
            "learning_rate": 1e-4,
            "new_weights_factor": 10.0,
            "intent_names": "learn",
            "vocabulary": "trimmed",
            "pooling": "mean",
            "head": "fitted",
            "validation": "cross_fitted",
        },
        recipes.FROM_SCRATCH: {
            "batch_size": 64,
            "epochs": 20,
            "min_steps": 400,
            "learning_rate": 5e-5,
            "new_weights_factor": 10.0,
            **AS_IT_COMES,
        },
        "minilm": {
            "batch_size": 32,
            "epochs": 8,
            "min_steps": 250,
            "learning_rate": 2e-4,
            "new_weights_factor": 5.0,
            **AS_IT_COMES,
        },
        recipes.OTHER: {
            "batch_size": 32,
            "epochs": 6,
            "min_steps": 400,
            "learning_rate": 5e-5,
            "new_weights_factor": 10.0,
            **AS_IT_COMES,
        },
    }

    OF_PRETRAINED: ClassVar[Mapping[str, str]] = {
        **Hyperparams.OF_PRETRAINED,
        "pooling": "mean",
        "head": "fitted",
    }

    model_name: str = "e5"
    max_length: int = 128
    batch_size: int = AUTO
    epochs: int = AUTO
    min_steps: int = AUTO
    learning_rate: float = AUTO
    new_weights_factor: float = AUTO
    consistency_rows: int = AUTO
    contrastive_weight: float = AUTO
    special_tokens: bool = True
    energy_weight: float = 0.0
    pooling: Literal["auto", "mean", "own"] = "auto"
    """What the head reads: the mean of the last layer's tokens, or what the encoder's own class does."""
    head: Literal["auto", "fitted", "random"] = "auto"
    """The head begins as a logistic regression on the encoder's features as they are, or at random."""
