"""Every family's hyperparameters: their types, defaults and meanings, and what tuning may choose them from."""

from intents.parameters.bert import BertHyperparams
from intents.parameters.hyperparams import NOTEBOOK_LOOP, Hyperparams
from intents.parameters.textcnn import TextCNNHyperparams

__all__ = ["FAMILIES", "NOTEBOOK_LOOP", "BertHyperparams", "Hyperparams", "TextCNNHyperparams"]

FAMILIES: dict[str, type[Hyperparams]] = {
    hyperparams.FAMILY: hyperparams for hyperparams in (BertHyperparams, TextCNNHyperparams)
}
