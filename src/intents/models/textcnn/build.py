"""A TextCNN for a corpus: its token table learned from the corpus, or an encoder's own in fewer dimensions."""

import torch

from intents.axes import Floats
from intents.models.encoders.encoder import Encoder
from intents.models.encoders.reduce_embeddings import reduced_table
from intents.models.network import Network, label_names
from intents.models.textcnn.config import TextCNNConfig
from intents.models.textcnn.network import NOTHING, TextCNN
from intents.parameters.training.textcnn import TextCNNHyperparams


def build(hyperparams: TextCNNHyperparams, intent2id: dict[str, int], *, encoder: Encoder) -> Network:
    """A TextCNN over the encoder's tokens with one logit an intent. Raises EncoderError."""
    reduced = None
    if hyperparams.embeddings == "reduced":
        size = hyperparams.embedding_size
        reduced = reduced_table(hyperparams.model_name, size=size, workspace=encoder.workspace)
    # A table that is learned needs the tokens it can learn; one that was pretrained knows more than these.
    tokens = encoder.seen_tokens if reduced is None else range(len(encoder.tokenizer))
    rows = torch.tensor([token for token in tokens if token != encoder.tokenizer.pad_token_id])
    config = TextCNNConfig(
        vocab_size=len(encoder.tokenizer),
        table_rows=len(rows) + 1,
        members=hyperparams.members,
        embedding_size=hyperparams.embedding_size,
        kernel_sizes=hyperparams.kernel_widths,
        channels=hyperparams.channels,
        batch_normalisation=hyperparams.batch_normalisation,
        embedding_dropout=hyperparams.embedding_dropout,
        dropout=hyperparams.dropout,
        pad_token_id=encoder.tokenizer.pad_token_id,
        **label_names(intent2id),
    )
    module = TextCNN(config)
    module.row_of_token[rows] = torch.arange(1, len(rows) + 1)
    if reduced is not None:
        table_VE = reduced.table_VE[list(encoder.kept_tokens)] if encoder.kept_tokens else reduced.table_VE
        _load_table(module, table_VE)
    module.embeddings.weight.requires_grad_(hyperparams.train_embeddings)
    return Network(
        module,
        new_weights=frozenset(name for name, _ in module.named_parameters())
        - ({"embeddings.weight"} if reduced else set()),
        facts={"explained_variance": reduced.explained_variance} if reduced else {},
    )


def _load_table(module: TextCNN, table_VE: Floats) -> None:
    """Puts the table into every member's slice; tokens added beyond it keep random rows of the table's spread."""
    table_VE = table_VE[: len(module.row_of_token)]  # some encoders pad their tables beyond their tokens
    members = module.config.members
    weight = module.embeddings.weight
    rows_V = module.row_of_token[: len(table_VE)]
    with torch.no_grad():
        weight.mul_(float(table_VE.std()) / weight.std())
        weight[rows_V] = torch.from_numpy(table_VE).repeat(1, members)
        weight[NOTHING] = 0.0
