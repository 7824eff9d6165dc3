"""The hyperparameters that every family has: declared once, typed, with default and meaning."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

from intents.parameters.declaration import AUTO, require
from intents.parameters.training.recipes import FROM_SCRATCH, Recipe, recipe
from intents.parameters.training.space import Range

ThresholdRule = Literal["acceptance", "best_f1", "fixed"]
NOTEBOOK_LOOP: Mapping[str, Any] = {
    "min_steps": 0,
    "max_steps": 0,
    "consistency_rows": 0,
    "contrastive_weight": 0.0,
    "new_weights_factor": 1.0,
    "warmup_ratio": 0.0,
    "label_smoothing": 0.0,
    "selection": "best",
    "patience": 0,
    "padding": "max_length",
    "batching": "random",
    "precision": "float32",
    "extend_vocabulary": "never",
    "vocabulary": "full",
    "intent_names": "ignore",
    "validation": "held_out",
}
"""What both source notebooks did, by leaving everything else out."""


@dataclass(frozen=True, kw_only=True)
class Hyperparams:
    """What every family's training takes. A family sets its own defaults, and may add fields."""

    FAMILY: ClassVar[str]
    ENTRY_POINT: ClassVar[str]
    MEANING: ClassVar[str]
    """What the entry point does."""
    RECIPES: ClassVar[Mapping[str, Mapping[str, Any]]]
    SEARCH_SPACE: ClassVar[Mapping[str, Range]]
    ENCODERS: ClassVar[Mapping[str, Recipe]]
    """What `auto` means for each encoder."""
    OF_PRETRAINED: ClassVar[Mapping[str, str]] = {"vocabulary": "trimmed"}
    """What only an encoder with pretrained weights can be asked for."""

    recipe: Literal["default", "notebook"] = "default"
    """`notebook` trains as the source notebook did, split included, wherever a parameter has its default value."""
    model_name: str
    """Encoder: e5 (94 languages), char (small, from scratch), minilm (English), a local path, or a hub id."""
    max_length: int
    """Longest utterance, in tokens; the rest is cut off."""
    batch_size: int
    """Utterances a training step; auto: as suits the encoder."""
    evaluation_batch_size: int = 256
    """Utterances a forward pass when predicting."""
    epochs: int
    """Most epochs: passes over the training part, measured on validation rows after each."""
    min_steps: int
    """Of a small corpus an epoch makes several passes, so that all epochs together are at least so many steps."""
    max_steps: int = AUTO
    """Of a large corpus fewer epochs, so that all together are at most so many steps; 0, or if `epochs` is set: all."""
    learning_rate: float
    """Peak learning rate of pretrained weights."""
    new_weights_factor: float
    """Weights that begin at random (a new head; all of `char`) learn at learning_rate times this."""
    weight_decay: float = 0.01
    """Decoupled weight decay of every matrix (biases and norms have none)."""
    warmup_ratio: float = 0.1
    """Share of the steps in which the learning rate rises."""
    schedule: Literal["linear", "constant"] = "linear"
    """After the warm-up the learning rate falls to zero in a straight line, or stays."""
    label_smoothing: float = 0.1
    """Share of each training target that is spread over all intents."""
    consistency_rows: int
    """Up to so many training rows each batch is passed twice, and what two dropouts say is drawn together (R-Drop)."""
    contrastive_weight: float
    """Weight of the supervised contrastive loss, where batches are passed twice (consistency_rows)."""
    selection: Literal["latest", "best"] = "latest"
    """Keep the latest epoch within one standard error of the best validation weighted F1, or strictly the best."""
    validation: Literal["auto", "held_out", "cross_fitted"] = "auto"
    """held_out: validation rows are kept apart; cross_fitted: unless they, or all rows, are few (docs/few_rows.md)."""
    patience: int = 10
    """Stop after this many epochs that `selection` would not keep; 0 never stops early."""
    padding: Literal["longest", "max_length"] = "longest"
    """Pad to the longest utterance of the batch, or always to max_length."""
    batching: Literal["by_length", "random"] = "by_length"
    """Put utterances of like length into one batch, or not."""
    precision: Literal["auto", "bfloat16", "float32"] = "auto"
    """auto: bfloat16 where the processor or the GPU computes in it, else float32."""
    special_tokens: bool
    """Whether the encoder's marks of beginning and end are set around an utterance."""
    extend_vocabulary: Literal["auto", "never"] = "auto"
    """auto: add the training part's characters that the encoder can't spell."""
    intent_names: Literal["auto", "learn", "ignore"] = "auto"
    """learn: each intent's name is one more training utterance of it; auto: as suits the encoder."""
    vocabulary: Literal["auto", "trimmed", "full"] = "auto"
    """trimmed: the corpus's tokens, single characters, frequent pieces of its scripts; auto: as suits the encoder."""
    seed: int = 42
    """Seed of weights, dropout and batch order. The split has its own (`split_seed`)."""
    unknown_intent: str = "Unknown"
    """The name given to what is rejected."""
    energy_weight: float
    """Weight of the energy terms beside the cross-entropy; 0 trains by cross-entropy alone."""
    energy_objective: Literal["logistic", "margin", "notebook"] = "logistic"
    """Logistic loss of the energy, squared hinges with margins, or the source notebook's mean and relu(1 - energy)."""
    gaussian_negatives: bool = True
    """Energy terms: random embeddings are negatives."""
    corpus_negatives: bool = True
    """Energy terms: the training part's out-of-scope utterances are negatives."""
    negative_batch_size: int = 16
    """Negatives of each kind a training step."""
    calibration: Literal["temperature", "none"] = "temperature"
    """Fit a temperature on validation rows and fold it into the head, or leave the softmax as it was trained."""
    threshold_rule: ThresholdRule = "acceptance"
    """Energy threshold: accepts target_acceptance, has the best accept/reject F1 on validation rows, or is fixed."""
    target_acceptance: float = 0.95
    """threshold_rule=acceptance: share of in-scope validation rows that are accepted."""
    fixed_threshold: float = -3.0
    """threshold_rule=fixed: utterances are accepted up to this energy."""

    def __post_init__(self) -> None:
        if self.epochs != AUTO and self.max_steps == AUTO:
            object.__setattr__(self, "max_steps", 0)
        for name, value in recipe(self.ENCODERS, self.model_name).items():
            if getattr(self, name) == AUTO:
                object.__setattr__(self, name, value)
        require(
            bool(self.model_name.strip()), "an encoder's name, path or hub id", model_name=self.model_name
        )
        require(2 < self.max_length <= 8192, "3 to 8192 tokens", max_length=self.max_length)
        for name in ("batch_size", "evaluation_batch_size", "negative_batch_size"):
            require(1 <= getattr(self, name) <= 65536, "1 to 65536 utterances", **{name: getattr(self, name)})
        require(1 <= self.epochs <= 10000, "1 to 10000", epochs=self.epochs)
        for name in ("min_steps", "max_steps", "consistency_rows"):
            require(0 <= getattr(self, name) <= 10**9, "0 to 1000000000", **{name: getattr(self, name)})
        learns = math.isfinite(self.learning_rate) and 0 < self.learning_rate <= 1
        require(learns, "a number above 0, up to 1", learning_rate=self.learning_rate)
        multiplies = math.isfinite(self.new_weights_factor) and 0 < self.new_weights_factor <= 1000
        require(multiplies, "a number above 0, up to 1000", new_weights_factor=self.new_weights_factor)
        for name in ("weight_decay", "warmup_ratio", "label_smoothing"):
            share = getattr(self, name)
            require(0 <= share < 1, "0 up to, but not including, 1", **{name: share})
        require(0 <= self.patience <= 10000, "0 to 10000 epochs", patience=self.patience)
        require(0 <= self.seed < 2**32, "0 to 4294967295", seed=self.seed)
        require(bool(self.unknown_intent.strip()), "a name", unknown_intent=self.unknown_intent)
        for name in ("energy_weight", "contrastive_weight"):
            weight = getattr(self, name)
            require(math.isfinite(weight) and 0 <= weight <= 100, "0 to 100", **{name: weight})
        is_energy = math.isfinite(self.fixed_threshold)
        require(is_energy, "a finite number", fixed_threshold=self.fixed_threshold)
        accepts = 0 < self.target_acceptance < 1
        require(accepts, "a share between 0 and 1, both excluded", target_acceptance=self.target_acceptance)

    def check_encoder(self) -> None:
        """Raises ConfigError where something is asked of the encoder that it has nothing for."""
        if self.model_name != FROM_SCRATCH:
            return
        usual = recipe(self.ENCODERS, self.model_name)
        for name, value in self.OF_PRETRAINED.items():
            expected = (
                f"{usual[name]} or auto with model_name={self.model_name!r}, which begins at random, "
                "with the characters of its corpus"
            )
            require(getattr(self, name) != value, expected, **{name: value})

    def passes(self, rows: int) -> int:
        """Passes an epoch makes over so many training rows: 1, or as many as `min_steps` takes."""
        steps_per_epoch = math.ceil(self.min_steps / self.epochs)
        return max(1, math.ceil(((steps_per_epoch - 1) * self.batch_size + 1) / rows))

    def epochs_over(self, rows: int) -> int:
        """Epochs over so many training rows: `epochs`, or as many as `max_steps` allows, one at least."""
        if not self.max_steps:
            return self.epochs
        steps_per_epoch = math.ceil(rows * self.passes(rows) / self.batch_size)
        return min(self.epochs, max(1, self.max_steps // steps_per_epoch))

    def for_a_share(self, rows: int, *, of: int) -> Self:
        """What trains so many rows as these train all of them: the same epochs, passes and objective, to the end."""
        epochs = self.epochs_over(of)
        steps_per_epoch = math.ceil(self.passes(of) * rows / self.batch_size)
        return dataclasses.replace(
            self,
            epochs=epochs,
            min_steps=epochs * steps_per_epoch,
            max_steps=0,
            consistency_rows=of if of <= self.consistency_rows else 0,
            patience=0,
        )

    @property
    def cross_fits(self) -> bool:
        """Whether few validation rows are trained on instead, and answered out of fold."""
        return self.validation == "cross_fitted"

    @property
    def selects_on_test(self) -> bool:
        """Whether the epoch is chosen on the test part: the source notebook did, nothing else may."""
        return self.recipe == "notebook"
