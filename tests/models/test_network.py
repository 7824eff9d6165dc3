"""Networks: a prediction belongs to its utterance alone, and a folded temperature divides the logits."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from intents.errors import EncoderError
from intents.models import directory, families
from intents.models.directory import RejectionRule
from intents.models.encoders import encoder as encoders
from intents.models.encoders.encoder import Encoder
from intents.models.network import Network, fold_temperature, predict, predict_gaussian, predict_logits
from intents.parameters import declaration
from intents.parameters.training.bert import BertHyperparams
from intents.parameters.training.families import FAMILIES
from intents.parameters.training.hyperparams import Hyperparams

INTENTS = {"问候": 0, "还款": 1, "拒绝": 2}
SHORT = "你好"
LONG = "按时还款，谢谢" * 5
TEXTS = [SHORT, LONG, *("你好吧朋友几点钟谢谢"[: 1 + i % 10] * (1 + i % 4) for i in range(254))]
MAX_LENGTH = 48
NOWHERE = Path("nothing-is-kept-here")
PRETRAINED = "pretrained"
"""Stands for the tiny BERT, which has no path before the tests run."""


@dataclass(frozen=True)
class Kind:
    """A kind of network: family, settings, and how much one utterance's logits may move with its batch."""

    family: str
    settings: dict[str, str]
    batch_tolerance: float


# Every family, over both kinds of encoder; the TextCNN also as the notebook has it, alone and normalised.
KINDS = {
    "bert-char": Kind("bert", {"model_name": "char"}, 1e-4),
    "bert-pretrained": Kind("bert", {"model_name": PRETRAINED}, 1e-4),
    "textcnn-char": Kind("textcnn", {}, 1e-5),
    "textcnn-pretrained": Kind("textcnn", {"model_name": PRETRAINED}, 1e-5),
    "textcnn-normalised": Kind(
        "textcnn", {"batch_normalisation": "true", "kernel_sizes": "3,4,5", "members": "1"}, 1e-5
    ),
    "textcnn-reduced": Kind(
        "textcnn",
        {"model_name": PRETRAINED, "embeddings": "reduced", "embedding_size": "8", "special_tokens": "true"},
        1e-5,
    ),
}


@dataclass(frozen=True)
class Made:
    """A network that begins at random, with what made it."""

    network: Network
    encoder: Encoder
    kind: Kind

    @property
    def module(self) -> Any:
        return self.network.module

    def logits(self, texts: list[str], batch_size: int = 256) -> np.ndarray:
        return predict_logits(
            self.module, self.encoder.tokenizer, texts=texts, max_length=MAX_LENGTH, batch_size=batch_size
        )


def settle(kind: Kind, tiny_bert: Path) -> Hyperparams:
    settings = {"max_length": str(MAX_LENGTH)} | kind.settings
    if settings.get("model_name") == PRETRAINED:
        settings["model_name"] = str(tiny_bert)
    return declaration.build(FAMILIES[kind.family], settings)


def make(kind: Kind, tiny_bert: Path, workspace: Path = NOWHERE) -> Made:
    torch.manual_seed(0)
    hyperparams = settle(kind, tiny_bert)
    encoder = encoders.load(hyperparams, TEXTS, workspace=workspace)
    return Made(families.build(hyperparams, INTENTS, encoder=encoder), encoder, kind)


def test_every_family_is_under_this_contract():
    assert {kind.family for kind in KINDS.values()} == FAMILIES.keys() == families.FAMILIES.keys()


@pytest.fixture(scope="module", params=KINDS)
def made(request: pytest.FixtureRequest, tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A network of each kind, as if trained: biases and running statistics far from where they begin."""
    made = make(KINDS[request.param], tiny_bert, tmp_path_factory.mktemp("workspace"))
    with torch.no_grad():
        made.module.classifier.weight.normal_(0, made.module.classifier.in_features**-0.5)
        made.module.classifier.bias.normal_(0, 1)
        for layer in made.module.modules():
            if isinstance(layer, torch.nn.BatchNorm1d):
                layer.running_mean.normal_(0, 0.5)
                layer.running_var.uniform_(0.5, 2)
            if isinstance(layer, torch.nn.BatchNorm1d | torch.nn.Conv1d):
                layer.bias.normal_(0, 0.5)
    return made


@pytest.mark.parametrize("batch_size", [2, 17, 256])
def test_an_utterance_has_the_same_logits_alone_as_in_any_batch(batch_size: int, made: Made):
    alone = np.concatenate([made.logits([text]) for text in TEXTS[:20]])
    together = made.logits(TEXTS, batch_size=batch_size)[:20]
    assert np.abs(alone - together).max() <= made.kind.batch_tolerance
    # not because the network says the same of everything
    assert np.ptp(together, axis=0).max() > 100 * made.kind.batch_tolerance


def test_padding_beside_a_long_utterance_leaves_a_short_one_as_it_was(made: Made):
    batch = made.encoder.tokenizer([SHORT, LONG], padding=True, return_tensors="pt")
    assert batch["attention_mask"][0].sum() < batch["attention_mask"][1].sum()
    with torch.inference_mode():
        padded = made.module.eval()(**batch).logits.numpy()
    assert np.abs(padded[0] - made.logits([SHORT])[0]).max() <= made.kind.batch_tolerance


@pytest.mark.parametrize("width", [24, MAX_LENGTH])
def test_padding_to_any_width_and_what_stands_in_it_change_nothing(width: int, made: Made):
    texts = [SHORT, "几", ""]
    batch = made.encoder.tokenizer(texts, padding="max_length", max_length=width, return_tensors="pt")
    assert batch["input_ids"].shape == (len(texts), width)
    is_padding = batch["attention_mask"] == 0
    batch["input_ids"][is_padding] = torch.arange(int(is_padding.sum())) % len(made.encoder.tokenizer)
    with torch.inference_mode():
        padded = made.module.eval()(**batch).logits.numpy()
    assert (
        np.abs(padded - np.concatenate([made.logits([t]) for t in texts])).max() <= made.kind.batch_tolerance
    )


def test_logits_come_back_in_the_order_of_the_utterances(made: Made):
    # sorted by length inside, so an order that is lost shows where lengths differ
    forward, backward = made.logits([SHORT, LONG, "几点钟"]), made.logits(["几点钟", LONG, SHORT])
    assert np.allclose(forward, backward[::-1], atol=made.kind.batch_tolerance)
    assert not np.allclose(forward, backward, atol=made.kind.batch_tolerance)


def test_the_features_of_an_utterance_are_what_the_head_reads(made: Made):
    outputs = predict(
        made.module, made.encoder.tokenizer, texts=TEXTS[:20], max_length=MAX_LENGTH, batch_size=7
    )
    head = made.module.classifier
    weight_CF, bias_C = head.weight.detach().double().numpy(), head.bias.detach().double().numpy()
    assert (len(outputs), outputs.features_BF.dtype) == (20, np.float32)
    assert np.abs(outputs.features_BF @ weight_CF.T + bias_C - outputs.logits_BC).max() < 1e-5
    assert np.array_equal(outputs.logits_BC, made.logits(TEXTS[:20], batch_size=7))


def test_no_utterance_gives_no_logits_of_the_right_width(made: Made):
    assert made.logits([]).shape == (0, len(INTENTS))


def test_logits_are_float32_one_row_an_utterance_one_column_an_intent(made: Made):
    found = made.logits(TEXTS[:3])
    assert (found.shape, found.dtype) == ((3, len(INTENTS)), np.float32)


def test_what_lies_beyond_the_longest_utterance_is_cut_off(made: Made):
    cut = LONG * 2
    assert len(LONG) < MAX_LENGTH - 2 < MAX_LENGTH < len(cut)
    assert np.allclose(made.logits([cut]), made.logits([cut + "你好你好"]), atol=made.kind.batch_tolerance)


@pytest.mark.parametrize("texts", [[""], [" "], ["", " "], ["", LONG]])
def test_an_empty_utterance_has_finite_logits_the_same_in_any_company(texts: list[str], made: Made):
    found = made.logits(texts)
    assert np.isfinite(found).all()
    assert np.abs(found[0] - made.logits([""])[0]).max() <= made.kind.batch_tolerance


def test_an_utterance_of_one_character_differs_from_an_empty_one(made: Made):
    one, other, empty = (made.logits([text])[0] for text in ("几", "你", ""))
    assert np.isfinite(one).all()
    assert np.abs(one - other).max() > 1e-3
    assert np.abs(one - empty).max() > 1e-3


def test_a_saved_network_reloads_through_the_auto_classes_with_identical_logits(made: Made, tmp_path: Path):
    rejection = RejectionRule(
        energy_threshold=-1.5, target="a test", unknown_intent="Unknown", fitted_temperature=1.0
    )
    directory.save(
        tmp_path,
        made.module,
        tokenizer=made.encoder.tokenizer,
        intents=tuple(INTENTS),
        rejection=rejection,
    )
    module = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert type(module) is type(made.module)
    reloaded = predict_logits(module, tokenizer, texts=TEXTS[:40], max_length=MAX_LENGTH)
    assert np.array_equal(reloaded, made.logits(TEXTS[:40]))
    assert module.config.id2label == {0: "问候", 1: "还款", 2: "拒绝"}
    directory.seal(tmp_path)
    loaded = directory.load(tmp_path)
    assert (loaded.intents, loaded.rejection, loaded.max_length) == (tuple(INTENTS), rejection, MAX_LENGTH)


def test_gaussian_embeddings_have_logits_that_the_seed_alone_decides(made: Made):
    drawn, again, split, other = (
        predict_gaussian(made.module, rows=30, tokens=6, seed=seed, batch_size=batch_size)
        for seed, batch_size in ((0, 256), (0, 256), (0, 30), (1, 256))
    )
    assert drawn.shape == (30, len(INTENTS))
    assert np.array_equal(drawn, again)
    assert np.abs(drawn - split).max() <= made.kind.batch_tolerance
    assert np.abs(drawn - other).max() > 1e-3


def test_a_forward_pass_under_bfloat16_says_about_the_same(made: Made):
    batch = made.encoder.tokenizer([SHORT, LONG, "几"], padding=True, return_tensors="pt")
    made.module.eval()
    with torch.inference_mode():
        exact = made.module(**batch).logits
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rounded = made.module(**batch).logits.float()
    # bfloat16 keeps 8 bits: an eighth of what sets utterances apart is far beyond its rounding
    spread = float(exact.max() - exact.min())
    assert (rounded - exact).abs().max() < spread / 8
    assert not torch.equal(rounded, exact)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("temperature", [0.5, 2.5])
def test_folding_a_temperature_divides_the_logits_by_it(
    kind: str, temperature: float, tiny_bert: Path, tmp_path: Path
):
    made = make(KINDS[kind], tiny_bert, tmp_path)
    before = made.logits(TEXTS[:8])
    fold_temperature(made.module, temperature)
    assert np.abs(made.logits(TEXTS[:8]) - before / temperature).max() < 1e-6
    assert np.ptp(before) > 1e-3


def test_folding_finds_the_head_even_where_another_layer_is_as_wide(tiny_bert: Path):
    hidden_size = 32
    intents = {f"intent {i}": i for i in range(hidden_size)}
    hyperparams = settle(KINDS["bert-pretrained"], tiny_bert)
    encoder = encoders.load(hyperparams, TEXTS, workspace=NOWHERE)
    network = families.build(hyperparams, intents, encoder=encoder)
    before = predict_logits(network.module, encoder.tokenizer, texts=TEXTS[:8], max_length=MAX_LENGTH)
    fold_temperature(network.module, 2.0)
    after = predict_logits(network.module, encoder.tokenizer, texts=TEXTS[:8], max_length=MAX_LENGTH)
    assert np.abs(after - before / 2).max() < 1e-6


@pytest.mark.parametrize("kind", ["bert-char", "textcnn-char", "textcnn-pretrained", "textcnn-normalised"])
def test_every_weight_that_begins_at_random_is_new(kind: str, tiny_bert: Path):
    network = make(KINDS[kind], tiny_bert).network
    assert network.new_weights == {name for name, _ in network.module.named_parameters()}


def test_only_the_head_of_a_pretrained_encoder_is_new(tiny_bert: Path):
    network = make(KINDS["bert-pretrained"], tiny_bert).network
    assert network.new_weights == {"classifier.weight", "classifier.bias"}


def test_all_but_a_reduced_table_is_new(tiny_bert: Path, tmp_path: Path):
    network = make(KINDS["textcnn-reduced"], tiny_bert, tmp_path).network
    every = {name for name, _ in network.module.named_parameters()}
    assert every - network.new_weights == {"embeddings.weight"}


def test_added_characters_get_rows_in_the_table_and_the_rest_keep_theirs(tiny_bert: Path):
    hyperparams = settle(KINDS["bert-pretrained"], tiny_bert)
    encoder = encoders.load(hyperparams, ["你好龘靐"], workspace=NOWHERE)
    assert encoder.added_tokens == 2
    network = families.build(hyperparams, INTENTS, encoder=encoder)
    table = network.module.get_input_embeddings().weight
    (pretrained,) = [
        w for name, w in load_file(tiny_bert / "model.safetensors").items() if "word_embeddings" in name
    ]
    assert len(table) == len(encoder.tokenizer) == len(pretrained) + 2
    assert torch.equal(table[: len(pretrained)], pretrained)


@pytest.mark.parametrize("kind", ["bert-char", "textcnn-char"])
def test_logits_stand_in_the_order_of_the_mapping(kind: str, tiny_bert: Path):
    assert make(KINDS[kind], tiny_bert).module.config.id2label == {0: "问候", 1: "还款", 2: "拒绝"}


def test_weights_that_are_damaged_are_one_clear_error(tiny_bert: Path, tmp_path: Path):
    for file in tiny_bert.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "model.safetensors").write_bytes(b"not safetensors")
    hyperparams = BertHyperparams(model_name=str(tmp_path), max_length=MAX_LENGTH, extend_vocabulary="never")
    with pytest.raises(EncoderError, match=r"model.safetensors is damaged"):
        encoders.load(hyperparams, TEXTS, workspace=NOWHERE)


def test_weights_of_other_sizes_than_the_configuration_says_are_one_clear_error(
    tiny_bert: Path, tmp_path: Path
):
    encoder = shutil.copytree(tiny_bert, tmp_path / "encoder")
    sizes = json.loads((encoder / "config.json").read_text())
    (encoder / "config.json").write_text(json.dumps(sizes | {"hidden_size": 64}))
    hyperparams = BertHyperparams(model_name=str(encoder), max_length=MAX_LENGTH)
    loaded = encoders.load(hyperparams, TEXTS, workspace=NOWHERE)
    with pytest.raises(EncoderError, match="weights can't be loaded"):
        families.build(hyperparams, INTENTS, encoder=loaded)


def test_weights_of_another_architecture_are_refused(tiny_bert: Path, tmp_path: Path):
    encoder = shutil.copytree(tiny_bert, tmp_path / "encoder")
    weights = load_file(encoder / "model.safetensors")
    save_file({f"other.{name}": weight for name, weight in weights.items()}, encoder / "model.safetensors")
    hyperparams = BertHyperparams(model_name=str(encoder), max_length=MAX_LENGTH)
    loaded = encoders.load(hyperparams, TEXTS, workspace=NOWHERE)
    with pytest.raises(EncoderError, match="none of its weights"):
        families.build(hyperparams, INTENTS, encoder=loaded)


def test_more_tokens_than_the_encoder_reads_are_refused_before_training(tiny_bert: Path):
    hyperparams = BertHyperparams(model_name=str(tiny_bert), max_length=129)
    encoder = encoders.load(hyperparams, TEXTS, workspace=NOWHERE)
    with pytest.raises(EncoderError, match=r"max_length=129: .* reads at most 128 tokens"):
        families.build(hyperparams, INTENTS, encoder=encoder)
