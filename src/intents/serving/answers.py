"""What a model says of utterances, and which it can't be asked: the same in a server, in a batch and in process."""

import unicodedata
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel
from scipy.special import softmax

from intents.axes import Floats
from intents.data.utterances import check_string
from intents.errors import ArtifactError
from intents.models import energy
from intents.models.directory import Artifact

MOST_CHARACTERS = 10_000
"""Of an utterance, unless told otherwise. A model reads its first few hundred."""
Names = npt.NDArray[np.object_]


class Alternative(BaseModel):
    """A runner-up."""

    intent: str
    confidence: float


class Prediction(BaseModel):
    """What the model says of one utterance. Lower energy is more in-scope."""

    intent: str
    confidence: float
    energy: float
    in_scope: bool
    best_intent: str
    alternatives: list[Alternative]


@dataclass(frozen=True)
class Answers:
    """What the model says of B utterances, and the K runners-up of each, the likelier first."""

    intent: Names
    confidence: Floats
    energy: Floats
    in_scope: npt.NDArray[np.bool_]
    best_intent: Names
    other_intents_BK: Names
    other_confidences_BK: Floats

    def __len__(self) -> int:
        return len(self.intent)

    def predictions(self) -> list[Prediction]:
        """One typed row an utterance, in order."""
        others_B = zip(self.other_intents_BK.tolist(), self.other_confidences_BK.tolist(), strict=True)
        alternatives_B = [
            [Alternative(intent=other, confidence=share) for other, share in zip(*others, strict=True)]
            for others in others_B
        ]
        columns = [getattr(self, name).tolist() for name in Prediction.model_fields if name != "alternatives"]
        rows = zip(*columns, alternatives_B, strict=True)
        return [Prediction(**dict(zip(Prediction.model_fields, row, strict=True))) for row in rows]


def normalised(text: str) -> str:
    """The text in Unicode's composed form (NFC): what looks alike is read alike."""
    return unicodedata.normalize("NFC", text)


def problem(text: object, *, most_characters: int = MOST_CHARACTERS) -> str | None:
    """Why no model can be asked this, in one line that never quotes it; None when one can."""
    if isinstance(text, str) and len(text) > most_characters:
        return f"text is too long: {len(text):,} characters, at most {most_characters:,}"
    rejected = check_string("text", text)
    return rejected.kind if rejected else None


def answer(logits_BC: Floats, loaded: Artifact, *, top_k: int = 0, threshold: float | None = None) -> Answers:
    """What the logits mean, with `top_k` runners-up (fewer where there are fewer intents).

    `threshold` is used in place of the model's own. Raises ArtifactError where a logit is no finite number.
    """
    is_finite_B = np.isfinite(logits_BC).all(axis=-1)
    if not is_finite_B.all():
        raise ArtifactError(
            f"row {is_finite_B.argmin()}: the model's logits are not finite numbers. Train the model again."
        )
    probabilities_BC = softmax(logits_BC.astype(np.float64), axis=-1)
    energies_B = energy.energy(logits_BC)
    threshold = loaded.rejection.energy_threshold if threshold is None else threshold
    accepted_B = energy.is_in_scope(energies_B, threshold)
    ranked_BK = _ranked(probabilities_BC, top_k)
    confidences_BK = np.take_along_axis(probabilities_BC, ranked_BK, axis=-1)
    names_BK = np.array(loaded.intents, dtype=object)[ranked_BK]
    return Answers(
        intent=np.where(accepted_B, names_BK[:, 0], loaded.rejection.unknown_intent),
        confidence=confidences_BK[:, 0],
        energy=energies_B,
        in_scope=accepted_B,
        best_intent=names_BK[:, 0],
        other_intents_BK=names_BK[:, 1:],
        other_confidences_BK=confidences_BK[:, 1:],
    )


def _ranked(probabilities_BC: Floats, top_k: int) -> npt.NDArray[np.intp]:
    """The best intent and `top_k` more by place, shape (B, K + 1); of equals the first."""
    if not top_k:
        return np.asarray(probabilities_BC.argmax(axis=-1))[:, None]
    order_BC: npt.NDArray[np.intp] = np.argsort(-probabilities_BC, axis=-1, kind="stable")
    return order_BC[:, : top_k + 1]
