"""The TextCNN against plain arithmetic: convolution, masked pooling, normalisation, members, and its token table.

What it has in common with every other family is in test_network.py.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from intents.errors import EncoderError
from intents.models import families
from intents.models.encoders import encoder as encoders
from intents.models.encoders import reduce_embeddings, vocabulary
from intents.models.encoders.encoder import Encoder
from intents.models.network import Network
from intents.models.textcnn.config import TextCNNConfig
from intents.models.textcnn.network import TextCNN
from intents.parameters.training.textcnn import TextCNNHyperparams

INTENTS = {"问候": 0, "还款": 1, "拒绝": 2}
TEXTS = ["你好呀", "按时还款，谢谢朋友", "几"]
KERNEL_SIZES = (1, 2, 3, 4, 5)
TOLERANCE = 1e-5


def tiny(
    *, batch_normalisation: bool = True, kernel_sizes: tuple[int, ...] = KERNEL_SIZES, members: int = 2
) -> TextCNN:
    """A small network in evaluation mode, its biases and running statistics far from where they begin."""
    torch.manual_seed(0)
    module = TextCNN(
        TextCNNConfig(
            vocab_size=30,
            table_rows=30,
            pad_token_id=0,
            members=members,
            embedding_size=6,
            kernel_sizes=kernel_sizes,
            channels=7,
            batch_normalisation=batch_normalisation,
            embedding_dropout=0.3,
            dropout=0.3,
            initializer_range=1.0,
            num_labels=3,
        )
    )
    module.row_of_token.copy_(torch.arange(30))
    with torch.no_grad():
        for layer in module.modules():
            if isinstance(layer, nn.Conv1d | nn.Linear | nn.BatchNorm1d):
                layer.bias.normal_(0, 0.3)
            if isinstance(layer, nn.BatchNorm1d):
                layer.weight.uniform_(-1.5, 1.5)
                layer.running_mean.normal_(0, 0.5)
                layer.running_var.uniform_(0.5, 2)
    return module.eval()


def by_hand(module: TextCNN, ids_L: list[int]) -> np.ndarray:
    """The logits (C,) of one utterance without any padding but the convolution's own, in numpy loops."""
    return np.mean([member_by_hand(module, member, ids_L) for member in range(len(module.members))], axis=0)


def member_by_hand(module: TextCNN, member: int, ids_L: list[int]) -> np.ndarray:
    """The logits (C,) of one member: of its slice of the table, its convolutions, its columns of the head."""
    state = {name: weight.detach().double().numpy() for name, weight in module.state_dict().items()}
    size = module.config.embedding_size
    x_LE = state["embeddings.weight"][ids_L, member * size : (member + 1) * size]
    pooled = []
    for place, kernel_size in enumerate(module.config.kernel_sizes):
        name = f"members.{member}.convolutions.{place}"
        margin = (kernel_size - 1) // 2
        padded_LE = np.pad(x_LE, ((margin, margin), (0, 0)))
        padded_LE = np.pad(padded_LE, ((0, max(0, kernel_size - len(padded_LE))), (0, 0)))
        responses = []
        for start in range(len(padded_LE) - kernel_size + 1):
            window_EW = padded_LE[start : start + kernel_size].T
            response_K = (state[f"{name}.convolution.weight"] * window_EW).sum(axis=(1, 2))
            response_K = response_K + state[f"{name}.convolution.bias"]
            if module.config.batch_normalisation:
                norm = f"{name}.normalisation"
                centred_K = response_K - state[f"{norm}.running_mean"]
                scaled_K = centred_K / np.sqrt(state[f"{norm}.running_var"] + 1e-5)
                response_K = scaled_K * state[f"{norm}.weight"] + state[f"{norm}.bias"]
            responses.append(np.maximum(response_K, 0))
        pooled.append(np.max(responses, axis=0))
    features_F = np.concatenate(pooled)
    columns = slice(member * len(features_F), (member + 1) * len(features_F))
    return state["classifier.weight"][:, columns] @ features_F + state["classifier.bias"]


@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("batch_normalisation", [False, True])
@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 6, 12])
def test_logits_are_those_of_loops_over_one_utterance_written_by_hand(
    length: int, batch_normalisation: bool, members: int
):
    module = tiny(batch_normalisation=batch_normalisation, members=members)
    ids_L = [1 + (7 * i) % 29 for i in range(length)]
    with torch.no_grad():
        logits_C = module(input_ids=torch.tensor([ids_L])).logits[0].numpy()
    assert np.abs(logits_C - by_hand(module, ids_L)).max() < TOLERANCE


@pytest.mark.parametrize("batch_normalisation", [False, True])
def test_in_one_padded_batch_every_utterance_has_the_logits_of_the_loops(batch_normalisation: bool):
    module = tiny(batch_normalisation=batch_normalisation)
    utterances = [[1 + (3 * i + n) % 29 for i in range(n)] for n in (1, 2, 3, 4, 5, 9, 14)]
    ids_BL, mask_BL = padded(utterances, width=20)
    with torch.no_grad():
        logits_BC = module(input_ids=ids_BL, attention_mask=mask_BL).logits.numpy()
    expected_BC = np.stack([by_hand(module, ids) for ids in utterances])
    assert np.abs(logits_BC - expected_BC).max() < TOLERANCE
    assert np.ptp(expected_BC, axis=0).min() > 100 * TOLERANCE


def padded(utterances: list[list[int]], *, width: int) -> tuple[Tensor, Tensor]:
    """Ids and mask, shape (B, width). What stands at padding is a token like any other: only the mask tells."""
    ids_BL = torch.tensor([ids + [11] * (width - len(ids)) for ids in utterances])
    lengths_B1 = torch.tensor([[len(ids)] for ids in utterances])
    return ids_BL, (torch.arange(width) < lengths_B1).long()


@pytest.mark.parametrize(
    ("kernel_size", "positions"), [(1, 10), (2, 9), (3, 10), (4, 9), (5, 10), (6, 9), (64, 9)]
)
def test_an_even_kernel_has_one_position_fewer_than_tokens_and_an_odd_one_as_many(
    kernel_size: int, positions: int
):
    """Kernels 3, 4 and 5 with paddings 1, 1 and 2: L + 2 * padding - kernel_size + 1."""
    (convolution,) = tiny(kernel_sizes=(kernel_size,), members=1).members[0].convolutions
    assert convolution.convolution(torch.zeros(1, 6, 10)).shape == (1, 7, positions)
    assert 10 - convolution.lost_positions == positions


def test_the_notebooks_paddings_are_1_1_and_2():
    convolutions = tiny(kernel_sizes=(3, 4, 5), members=1).members[0].convolutions
    assert [convolution.convolution.padding for convolution in convolutions] == [(1,), (1,), (2,)]


def test_a_strong_response_at_padding_is_never_the_maximum():
    """A bias that makes zeros respond louder than any token."""
    module = tiny(batch_normalisation=False)
    with torch.no_grad():
        for layer in module.modules():
            if isinstance(layer, nn.Conv1d):
                layer.bias.fill_(50.0)
                layer.weight.fill_(-1.0)
        module.embeddings.weight[1:] = 1.0
        ids_BL, mask_BL = padded([[3, 4, 5, 6, 7, 8]], width=30)
        logits_BC = module(input_ids=ids_BL, attention_mask=mask_BL).logits.numpy()
    assert np.abs(logits_BC[0] - by_hand(module, [3, 4, 5, 6, 7, 8])).max() < 1e-3


def test_without_a_mask_every_position_counts():
    module = tiny()
    ids_BL = torch.tensor([[1, 2, 3, 0, 0]])
    with torch.no_grad():
        every, own = (
            module(input_ids=ids_BL, attention_mask=mask).logits[0].numpy()
            for mask in (None, torch.tensor([[1, 1, 1, 0, 0]]))
        )
    assert np.abs(every - by_hand(module, [1, 2, 3, 0, 0])).max() < TOLERANCE
    assert np.abs(own - by_hand(module, [1, 2, 3])).max() < TOLERANCE
    assert np.abs(every - own).max() > 100 * TOLERANCE


def test_embeddings_in_the_place_of_ids_give_the_logits_of_those_ids():
    module = tiny()
    ids_BL, mask_BL = padded([[1, 2, 3], [4, 5, 6, 7, 8]], width=7)
    with torch.no_grad():
        by_ids = module(input_ids=ids_BL, attention_mask=mask_BL).logits
        by_embeddings = module(
            inputs_embeds=module.get_input_embeddings()(ids_BL), attention_mask=mask_BL
        ).logits
    assert torch.equal(by_ids, by_embeddings)


def test_normalisation_in_training_counts_own_positions_alone():
    """running_mean after one step is 0.9 old + 0.1 of the mean over each utterance's own positions, by loops."""
    module = tiny(kernel_sizes=(3, 4)).train()
    module.embedding_dropout.p = 0.0
    utterances = [[1, 2, 3, 4, 5, 6, 7], [8, 9], [10]]
    table_VE = module.embeddings.weight.detach().clone()
    before = {name: buffer.clone() for name, buffer in module.named_buffers()}
    ids_BL, mask_BL = padded(utterances, width=12)
    module(input_ids=ids_BL, attention_mask=mask_BL)
    for member, place in ((0, 0), (0, 1), (1, 0), (1, 1)):
        kernel_size = (3, 4)[place]
        convolution = module.members[member].convolutions[place]
        own = []
        for ids in utterances:
            x_1EL = table_VE[ids, member * 6 : (member + 1) * 6].T[None]
            # with a margin of 1 on both sides kernel 4 needs two tokens: one alone stands before a zero
            x_1EL = nn.functional.pad(x_1EL, (0, max(0, kernel_size - 2 - len(ids))))
            own.append(
                nn.functional.conv1d(
                    x_1EL, convolution.convolution.weight, convolution.convolution.bias, padding=1
                )[0].detach()
            )
        own_KN = torch.cat(own, dim=1)
        assert own_KN.shape[1] == {3: 7 + 2 + 1, 4: 6 + 1 + 1}[kernel_size]
        norm = f"members.{member}.convolutions.{place}.normalisation"
        mean_K = 0.9 * before[f"{norm}.running_mean"] + 0.1 * own_KN.mean(dim=1)
        variance_K = 0.9 * before[f"{norm}.running_var"] + 0.1 * own_KN.var(dim=1)
        assert torch.allclose(convolution.normalisation.running_mean, mean_K, atol=TOLERANCE)
        assert torch.allclose(convolution.normalisation.running_var, variance_K, atol=TOLERANCE)


def test_a_training_step_is_the_same_however_wide_the_padding():
    utterances = [[1, 2, 3, 4, 5, 6, 7], [8, 9], [10]]
    gradients = []
    for width in (7, 31):
        module = tiny().train()
        module.embedding_dropout.p = module.dropout.p = 0.0
        ids_BL, mask_BL = padded(utterances, width=width)
        module(input_ids=ids_BL, attention_mask=mask_BL).logits.square().sum().backward()
        gradients.append({name: weight.grad for name, weight in module.named_parameters()})
    narrow, wide = gradients
    assert all(torch.allclose(narrow[name], wide[name], rtol=1e-3, atol=1e-4) for name in narrow)
    assert any(gradient.abs().max() > 0.1 for gradient in narrow.values())
    assert not narrow["embeddings.weight"][0].any()


def test_an_utterance_of_no_tokens_is_one_position_of_nothing():
    """A blank text has one position of zeros, alone as in a padded batch."""
    module = tiny()
    with torch.no_grad():
        empty = module(input_ids=torch.zeros(1, 0, dtype=torch.long), attention_mask=torch.zeros(1, 0))
        ids_BL, mask_BL = padded([[], [1, 2, 3, 4, 5, 6]], width=6)
        beside = module(input_ids=ids_BL, attention_mask=mask_BL)
    assert torch.allclose(beside.logits[0], empty.logits[0], atol=TOLERANCE)
    assert np.abs(empty.logits[0].numpy() - by_hand(module, [0])).max() < TOLERANCE


def test_logits_are_the_mean_of_the_members_own_known_where_gradients_are_wanted():
    module = tiny(batch_normalisation=False, members=3)
    module.embedding_dropout.p = module.dropout.p = 0.0
    utterances = [[1, 2, 3, 4, 5, 6, 7], [8, 9], [10]]
    ids_BL, mask_BL = padded(utterances, width=12)
    with torch.no_grad():
        evaluated = module(input_ids=ids_BL, attention_mask=mask_BL)
    trained = module.train()(input_ids=ids_BL, attention_mask=mask_BL)
    assert evaluated.member_logits is None
    members_BMC = trained.member_logits.detach().numpy()
    expected_BMC = [[member_by_hand(module, member, ids) for member in range(3)] for ids in utterances]
    assert np.abs(members_BMC - np.array(expected_BMC)).max() < TOLERANCE
    assert np.abs(trained.logits.detach().numpy() - members_BMC.mean(axis=1)).max() < TOLERANCE
    assert torch.allclose(trained.logits, evaluated.logits, atol=TOLERANCE)
    # three networks, not one three times
    assert np.ptp(members_BMC, axis=1).min() > 100 * TOLERANCE


def test_a_members_loss_teaches_that_member_alone():
    module = tiny(members=2).train()
    ids_BL, mask_BL = padded([[1, 2, 3, 4, 5, 6, 7], [8, 9], [10]], width=12)
    module(input_ids=ids_BL, attention_mask=mask_BL).member_logits[:, 0].square().sum().backward()
    for name, weight in module.named_parameters():
        if name.startswith("members.1."):
            assert weight.grad is None or not weight.grad.any(), name
    assert module.embeddings.weight.grad[:, :6].any()
    assert not module.embeddings.weight.grad[:, 6:].any()
    assert not module.classifier.weight.grad.chunk(2, dim=1)[1].any()


def test_dropout_works_in_training_alone():
    module = tiny(batch_normalisation=False)
    ids_BL = torch.tensor([[1, 2, 3, 4]])
    with torch.no_grad():
        assert torch.equal(module(input_ids=ids_BL).logits, module(input_ids=ids_BL).logits)
        module.train()
        assert not torch.equal(module(input_ids=ids_BL).logits, module(input_ids=ids_BL).logits)


def make(**changes: Any) -> tuple[Network, Encoder]:
    workspace = changes.pop("workspace", Path("nothing-is-kept-here"))
    texts = changes.pop("texts", TEXTS)
    torch.manual_seed(0)
    hyperparams = TextCNNHyperparams(**{"members": 2, "embedding_size": 8, "channels": 6} | changes)
    encoder = encoders.load(hyperparams, texts, workspace=workspace)
    return families.build(hyperparams, INTENTS, encoder=encoder), encoder


def test_every_size_that_is_asked_for_is_the_networks():
    network, encoder = make(
        kernel_sizes="2,7", dropout=0.25, embedding_dropout=0.125, batch_normalisation=True
    )
    module = network.module
    assert tuple(module.embeddings.weight.shape) == (len(encoder.seen_tokens) + 1, 2 * 8)
    convolutions = [convolution for member in module.members for convolution in member.convolutions]
    shapes = [tuple(convolution.convolution.weight.shape) for convolution in convolutions]
    assert shapes == [(6, 8, 2), (6, 8, 7)] * 2
    assert tuple(module.classifier.weight.shape) == (3, 2 * 12)
    assert (module.dropout.p, module.embedding_dropout.p) == (0.25, 0.125)
    assert all(isinstance(c.normalisation, nn.BatchNorm1d) for c in convolutions)
    assert not token_table(module)[encoder.tokenizer.pad_token_id].any()


def token_table(module: TextCNN) -> np.ndarray:
    """The row of each token id, shape (V, M * E)."""
    return module.embeddings.weight.detach()[module.row_of_token].numpy()


def test_a_learned_table_has_a_row_for_each_token_seen_and_nothing_for_any_other(tiny_bert: Path):
    network, encoder = make(model_name=str(tiny_bert))
    table = token_table(network.module)
    has_row = table.any(axis=1)
    assert len(table) == len(encoder.tokenizer)
    assert np.flatnonzero(has_row).tolist() == list(encoder.seen_tokens)
    assert 0 < has_row.sum() < len(table)
    assert len(np.unique(table[has_row], axis=0)) == has_row.sum()


@pytest.mark.parametrize("trains", [True, False])
def test_only_a_table_that_may_change_has_a_gradient(trains: bool):
    network, encoder = make(train_embeddings=trains)
    batch = encoder.tokenizer(TEXTS, padding=True, return_tensors="pt")
    network.module.train()(**batch).logits.sum().backward()
    without = {name for name, weight in network.module.named_parameters() if weight.grad is None}
    assert without == (set() if trains else {"embeddings.weight"})


def make_reduced(tiny_bert: Path, workspace: Path, **changes: Any) -> tuple[Network, Encoder]:
    return make(model_name=str(tiny_bert), embeddings="reduced", workspace=workspace, **changes)


def test_a_reduced_table_is_loaded_row_for_row_but_for_padding_which_is_zero(tiny_bert: Path, tmp_path: Path):
    network, encoder = make_reduced(tiny_bert, tmp_path)
    table = reduce_embeddings.reduced_table(str(tiny_bert), size=8, workspace=tmp_path)
    every_member = token_table(network.module)
    weight = every_member[:, :8]
    assert np.array_equal(weight, every_member[:, 8:])
    padding = encoder.tokenizer.pad_token_id
    is_token = np.arange(len(table.table_VE)) != padding
    assert encoder.added_tokens == 0
    assert len(weight) == len(table.table_VE)
    assert np.array_equal(weight[is_token], table.table_VE[is_token])
    assert not weight[padding].any()
    assert network.facts == {"explained_variance": table.explained_variance}
    # a row stands at its token's id: the same place as in the encoder's own table
    own = load_file(tiny_bert / "model.safetensors")["embeddings.word_embeddings.weight"].numpy()
    distances = [np.linalg.norm(matrix[7] - matrix[9]) for matrix in (own, weight)]
    assert 0.1 * distances[0] < distances[1] <= distances[0] * (1 + 1e-5)


def test_a_cut_vocabulary_takes_its_own_rows_of_the_reduced_table(
    tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(vocabulary, "TARGET_TOKENS", 0)
    network, encoder = make_reduced(tiny_bert, tmp_path, texts=["abc"], vocabulary="trimmed")
    table = reduce_embeddings.reduced_table(str(tiny_bert), size=8, workspace=tmp_path).table_VE
    weight = token_table(network.module)[:, :8]
    places = [i for i in range(len(encoder.kept_tokens)) if i != encoder.tokenizer.pad_token_id]
    assert 0 < len(encoder.kept_tokens) < len(table)
    assert np.array_equal(weight[places], table[[encoder.kept_tokens[i] for i in places]])


def test_tokens_added_beyond_the_reduced_table_have_random_rows_of_its_spread(
    tiny_bert: Path, tmp_path: Path
):
    added = [chr(code) for code in range(0x9F00, 0x9F80)]
    network, encoder = make_reduced(tiny_bert, tmp_path, texts=[*TEXTS, "".join(added)])
    table = reduce_embeddings.reduced_table(str(tiny_bert), size=8, workspace=tmp_path).table_VE
    weight = token_table(network.module)
    assert encoder.added_tokens >= len(added)
    assert len(weight) == len(encoder.tokenizer) == len(table) + encoder.added_tokens
    assert np.array_equal(weight[1 : len(table)], np.tile(table[1:], (1, 2)))
    beyond = weight[len(table) :]
    # a thousand draws: the deviation's standard error is about 2 %
    assert beyond.std() == pytest.approx(table.std(), rel=0.15)
    assert len(np.unique(beyond, axis=0)) == len(beyond)


@pytest.mark.parametrize("trains", [True, False])
def test_a_reduced_table_is_frozen_where_it_may_not_train(trains: bool, tiny_bert: Path, tmp_path: Path):
    network, _ = make_reduced(tiny_bert, tmp_path, train_embeddings=trains)
    assert network.module.embeddings.weight.requires_grad == trains


def test_a_reduced_table_of_the_char_encoder_is_refused(tmp_path: Path):
    with pytest.raises(EncoderError, match=r"model_name='char' has no pretrained embeddings to reduce"):
        make(embeddings="reduced", workspace=tmp_path)


def test_a_learned_table_has_no_explained_variance():
    assert make()[0].facts == {}


@pytest.mark.parametrize("batch_normalisation", [False, True])
def test_a_training_step_under_bfloat16_leaves_finite_weights_and_float32_statistics(
    batch_normalisation: bool,
):
    module = tiny(batch_normalisation=batch_normalisation).train()
    ids_BL, mask_BL = padded([[1, 2, 3, 4, 5, 6, 7], [8, 9], [10], []], width=12)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits_BC = module(input_ids=ids_BL, attention_mask=mask_BL).logits
    assert logits_BC.dtype == torch.bfloat16
    logits_BC.float().square().sum().backward()
    for name, weight in module.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.isfinite().all(), name
    assert all(b.isfinite().all() and b.dtype != torch.bfloat16 for b in module.buffers())
