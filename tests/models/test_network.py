"""Networks: a prediction belongs to its utterance alone, and a folded temperature divides the logits."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from intents import encoders, models
from intents.config import BertHyperparams
from intents.encoders import Encoder
from intents.errors import EncoderError
from intents.models.network import Network, fold_temperature, predict_logits

INTENTS = {"问候": 0, "还款": 1, "拒绝": 2}
SHORT = "你好"
LONG = "按时还款，谢谢" * 5
TEXTS = [SHORT, LONG, *("你好吧朋友几点钟谢谢"[: 1 + i % 10] * (1 + i % 4) for i in range(254))]
MAX_LENGTH = 48
BATCH_TOLERANCE = 1e-4

Made = tuple[Network, Encoder]


def make(model_name: str, **changes: str) -> Made:
    torch.manual_seed(0)
    hyperparams = BertHyperparams(model_name=model_name, max_length=MAX_LENGTH, **changes)
    encoder = encoders.load(
        model_name, TEXTS, max_length=MAX_LENGTH, extend_vocabulary=hyperparams.extend_vocabulary
    )
    return models.build(hyperparams, INTENTS, encoder), encoder


@pytest.fixture(scope="module", params=["char", "pretrained"])
def made(request: pytest.FixtureRequest, tiny_bert: Path) -> Made:
    """A network of each kind of encoder, its last layer at random, far from zero."""
    network, encoder = make("char" if request.param == "char" else str(tiny_bert))
    with torch.no_grad():
        network.module.classifier.weight.normal_(0, 1)
        network.module.classifier.bias.normal_(0, 1)
    return network, encoder


@pytest.fixture(scope="module")
def logits(made: Made) -> Callable[..., np.ndarray]:
    network, encoder = made

    def predict(texts: list[str], batch_size: int = 256) -> np.ndarray:
        return predict_logits(
            network.module, encoder.tokenizer, texts, max_length=MAX_LENGTH, batch_size=batch_size
        )

    return predict


@pytest.mark.parametrize("batch_size", [2, 17, 256])
def test_an_utterance_has_the_same_logits_alone_as_in_any_batch(
    batch_size: int, logits: Callable[..., np.ndarray]
):
    alone = np.concatenate([logits([text]) for text in TEXTS[:20]])
    together = logits(TEXTS, batch_size=batch_size)[:20]
    assert np.abs(alone - together).max() <= BATCH_TOLERANCE
    # not because the network says the same of everything
    assert np.ptp(together, axis=0).max() > 100 * BATCH_TOLERANCE


def test_padding_beside_a_long_utterance_leaves_a_short_one_as_it_was(
    made: Made, logits: Callable[..., np.ndarray]
):
    network, encoder = made
    batch = encoder.tokenizer([SHORT, LONG], padding=True, return_tensors="pt")
    assert batch["attention_mask"][0].sum() < batch["attention_mask"][1].sum()
    with torch.inference_mode():
        padded = network.module.eval()(**batch).logits.numpy()
    assert np.abs(padded[0] - logits([SHORT])[0]).max() <= BATCH_TOLERANCE


def test_logits_come_back_in_the_order_of_the_utterances(logits: Callable[..., np.ndarray]):
    # sorted by length inside, so an order that is lost shows where lengths differ
    forward, backward = logits([SHORT, LONG, "几点钟"]), logits(["几点钟", LONG, SHORT])
    assert np.allclose(forward, backward[::-1], atol=BATCH_TOLERANCE)
    assert not np.allclose(forward, backward, atol=BATCH_TOLERANCE)


def test_no_utterance_gives_no_logits_of_the_right_width(logits: Callable[..., np.ndarray]):
    assert logits([]).shape == (0, len(INTENTS))


def test_logits_are_float32_one_row_an_utterance_one_column_an_intent(logits: Callable[..., np.ndarray]):
    found = logits(TEXTS[:3])
    assert (found.shape, found.dtype) == ((3, len(INTENTS)), np.float32)


def test_what_lies_beyond_the_longest_utterance_is_cut_off(logits: Callable[..., np.ndarray]):
    cut = LONG * 2
    assert len(LONG) < MAX_LENGTH - 2 < len(cut)
    assert np.allclose(logits([cut]), logits([cut + "你好你好"]), atol=BATCH_TOLERANCE)


def test_an_empty_utterance_has_finite_logits(logits: Callable[..., np.ndarray]):
    assert np.isfinite(logits(["", " "])).all()


@pytest.mark.parametrize("model_name", ["char", "pretrained"])
@pytest.mark.parametrize("temperature", [0.5, 2.5])
def test_folding_a_temperature_divides_the_logits_by_it(model_name: str, temperature: float, tiny_bert: Path):
    network, encoder = make("char" if model_name == "char" else str(tiny_bert))
    before = predict_logits(network.module, encoder.tokenizer, TEXTS[:8], max_length=MAX_LENGTH)
    fold_temperature(network.module, temperature)
    after = predict_logits(network.module, encoder.tokenizer, TEXTS[:8], max_length=MAX_LENGTH)
    assert np.abs(after - before / temperature).max() < 1e-6


def test_folding_finds_the_head_even_where_another_layer_is_as_wide(tiny_bert: Path):
    hidden_size = 32
    intents = {f"intent {i}": i for i in range(hidden_size)}
    encoder = encoders.load(str(tiny_bert), TEXTS, max_length=MAX_LENGTH, extend_vocabulary="auto")
    network = models.build(BertHyperparams(model_name=str(tiny_bert)), intents, encoder)
    before = predict_logits(network.module, encoder.tokenizer, TEXTS[:8], max_length=MAX_LENGTH)
    fold_temperature(network.module, 2.0)
    after = predict_logits(network.module, encoder.tokenizer, TEXTS[:8], max_length=MAX_LENGTH)
    assert np.abs(after - before / 2).max() < 1e-6


def test_every_weight_of_the_char_encoder_is_new():
    network, _ = make("char")
    assert network.new_weights == {name for name, _ in network.module.named_parameters()}


def test_only_the_head_of_a_pretrained_encoder_is_new(tiny_bert: Path):
    network, _ = make(str(tiny_bert))
    assert network.new_weights == {"classifier.weight", "classifier.bias"}


def test_added_characters_get_rows_in_the_table_and_the_rest_keep_theirs(tiny_bert: Path):
    texts = ["你好龘靐"]
    encoder = encoders.load(str(tiny_bert), texts, max_length=MAX_LENGTH, extend_vocabulary="auto")
    assert encoder.added_tokens == 2
    network = models.build(BertHyperparams(model_name=str(tiny_bert)), INTENTS, encoder)
    table = network.module.get_input_embeddings().weight
    from safetensors.torch import load_file

    (pretrained,) = [
        w for name, w in load_file(tiny_bert / "model.safetensors").items() if "word_embeddings" in name
    ]
    assert len(table) == len(encoder.tokenizer) == len(pretrained) + 2
    assert torch.equal(table[: len(pretrained)], pretrained)


def test_logits_stand_in_the_order_of_the_mapping():
    network, _ = make("char")
    assert network.module.config.id2label == {0: "问候", 1: "还款", 2: "拒绝"}


def test_weights_that_are_damaged_are_one_clear_error(tiny_bert: Path, tmp_path: Path):
    for file in tiny_bert.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "model.safetensors").write_bytes(b"not safetensors")
    encoder = encoders.load(str(tmp_path), TEXTS, max_length=MAX_LENGTH, extend_vocabulary="never")
    with pytest.raises(EncoderError, match="weights can't be loaded"):
        models.build(BertHyperparams(model_name=str(tmp_path)), INTENTS, encoder)


def test_more_tokens_than_the_encoder_reads_are_refused_before_training(tiny_bert: Path):
    encoder = encoders.load(str(tiny_bert), TEXTS, max_length=129, extend_vocabulary="auto")
    with pytest.raises(EncoderError, match=r"max_length=129: .* reads at most 128 tokens"):
        models.build(BertHyperparams(model_name=str(tiny_bert), max_length=129), INTENTS, encoder)
