"""Every family's hyperparameters: their types, defaults and meanings, and what tuning may choose them from."""

from intents.hyperparams.base import NOTEBOOK_LOOP, Hyperparams
from intents.hyperparams.bert import BertHyperparams
from intents.hyperparams.textcnn import TextCNNHyperparams

__all__ = ["FAMILIES", "NOTEBOOK_LOOP", "BertHyperparams", "Hyperparams", "TextCNNHyperparams"]

FAMILIES: dict[str, type[Hyperparams]] = {
    hyperparams.FAMILY: hyperparams for hyperparams in (BertHyperparams, TextCNNHyperparams)
}
