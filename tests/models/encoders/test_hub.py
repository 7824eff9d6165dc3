"""Encoders by hub id: real processes and the real client, against a stand-in for the hub over HTTP."""

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from mlflow.tracking import MlflowClient
from safetensors.torch import load_file

from intents.cli import USER_ERROR
from intents.models.encoders.files import ALTERNATIVES
from intents.models.encoders.hub import CONVERTER
from tests.conftest import start_command
from tests.models.encoders import stand_in_hub as hubs
from tests.models.encoders.stand_in_hub import Hub

TOKEN = "hf_secretsecret"
PATIENCE = 20
"""Seconds after which no user should still be waiting to hear that the hub can't be reached."""

# Reads a line of jobs, does each in a process of its own, all at once, and writes a line of outcomes. A job loads some
# encoders as a training would, under its own settings. What takes seconds to import, and reads no setting of the
# hub's client, is imported once for all of them.
NURSERY = """
import json, os, sys, time
import scipy.optimize, torch, torch._dynamo, torch.distributed.tensor
assert "huggingface_hub" not in sys.modules

def outcome(name):
    from pathlib import Path
    from intents.models.encoders import encoder as encoders; from intents.parameters import declaration as parameters
    from intents.errors import EncoderError
    from intents.parameters.training.bert import BertHyperparams
    from intents.models import families
    began = time.monotonic()
    try:
        hyperparams = parameters.build(BertHyperparams, {"model_name": name, "max_length": "16"})
        encoder = encoders.load(hyperparams, ["你好"], workspace=Path("nothing is kept here"))
        network = families.build(hyperparams, {"a": 0, "b": 1}, encoder=encoder)
        table = network.module.get_input_embeddings().weight
        found = {"tokens": encoder.tokenizer("你好")["input_ids"], "sum": float(table.double().sum())}
    except EncoderError as error:
        found = {"error": str(error)}
    return found | {"seconds": time.monotonic() - began}

for line in sys.stdin:
    pipes = []
    for names, settings in json.loads(line):
        read, write = os.pipe()
        if os.fork() == 0:
            os.environ.update(settings)
            with open(write, "w") as pipe:
                json.dump({name: outcome(name) for name in names}, pipe)
            os._exit(0)
        os.close(write)
        pipes.append(read)
    print(json.dumps([json.load(open(pipe)) for pipe in pipes]), flush=True)
"""
Job = tuple[list[str], dict[str, str]]
Outcomes = dict[str, dict]


@pytest.fixture(scope="module")
def environment(subprocess_environment: dict[str, str]) -> dict[str, str]:
    """A user's, with a token, and none of the settings that would take a client elsewhere."""
    kept = {
        name: value
        for name, value in subprocess_environment.items()
        if not name.startswith(("HF_", "HUGGINGFACE_", "TRANSFORMERS_"))
        and not name.lower().endswith("_proxy")
    }
    return kept | {"HF_TOKEN": TOKEN}


@pytest.fixture(scope="module")
def visit(
    environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[list[Job]], list[Outcomes]]]:
    """What comes of each job, all done at once. None shows the token it was given."""
    log = tmp_path_factory.mktemp("nursery") / "log"
    with (
        log.open("w") as complaints,
        subprocess.Popen(
            [sys.executable, "-c", NURSERY],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
        ) as nursery,
    ):

        def visited(jobs: list[Job]) -> list[Outcomes]:
            nursery.stdin.write(json.dumps(jobs) + "\n")
            nursery.stdin.flush()
            said = nursery.stdout.readline()
            assert said, log.read_text()
            for text in (said, log.read_text()):
                assert "secretsecret" not in text
            return json.loads(said)

        yield visited
        nursery.stdin.close()


def damaged(encoder: Path, folder: Path, *, without: tuple[str, ...] = (), **contents: str) -> Path:
    """A copy of the encoder, some of its files left out, some (dots as __) with other contents."""
    copy = shutil.copytree(encoder, folder)
    for name in without:
        (copy / name).unlink()
    for name, content in contents.items():
        (copy / name.replace("__", ".")).write_text(content)
    return copy


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    with hubs.serve() as serving:
        yield serving


def repositories(tiny_bert: Path, folder: Path) -> dict[str, Path]:
    """One of each kind; those with code of their own leave a file `executed` in the folder when it is run."""
    code = f"open({str(folder / 'executed')!r}, 'w')\nclass Config: pass\n"
    auto_map = {"auto_map": {"AutoConfig": "code.Config"}}
    known = json.loads((tiny_bert / "config.json").read_text()) | auto_map
    pickled = damaged(tiny_bert, folder / "pickled", without=("model.safetensors",))
    torch.save({}, pickled / "pytorch_model.bin")
    return {
        "o/whole": tiny_bert,
        "o/gated": tiny_bert,
        "o/private": tiny_bert,
        "o/forbidden": tiny_bert,
        "o/pickled": pickled,
        "o/proposed": pickled,
        "o/impostor": pickled,
        "o/own-code": damaged(
            tiny_bert,
            folder / "own",
            code__py=code,
            config__json=json.dumps({"model_type": "own"} | auto_map),
        ),
        "o/own-code-of-a-bert": damaged(
            tiny_bert, folder / "bert", code__py=code, config__json=json.dumps(known)
        ),
        "o/garbled": damaged(tiny_bert, folder / "garbled", config__json="<html>not found</html>"),
        "o/mute": damaged(
            tiny_bert, folder / "mute", without=("tokenizer.json", "tokenizer_config.json", "vocab.txt")
        ),
        "o/with-code": damaged(tiny_bert, folder / "with", code__py=code, pytorch_model__bin="a pickle"),
    }


@pytest.fixture(scope="module")
def first_visit(
    hub: Hub,
    visit: Callable[[list[Job]], list[Outcomes]],
    tiny_bert: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Outcomes:
    """What comes of one encoder of each kind, asked for by one process with an empty cache."""
    folder = tmp_path_factory.mktemp("repositories")
    hub.repositories |= repositories(tiny_bert, folder)
    hub.gated.add("o/gated")
    hub.refused |= {"o/private": 401, "o/forbidden": 403, "o/broken": 500}
    hub.proposals |= {"o/proposed": (CONVERTER, tiny_bert), "o/impostor": ("someone", tiny_bert)}
    names = [*hub.repositories, "o/missing", "o/broken", "no hub/id"]
    cache = {"HF_HOME": str(folder / "cache")}
    (found,) = visit([(names, {"HF_ENDPOINT": hub.address} | cache)])
    assert not (folder / "executed").exists()
    return found | {"cache": cache}


def test_an_encoder_by_hub_id_is_fetched_and_its_weights_and_tokens_are_used(
    first_visit: Outcomes, hub: Hub, tiny_bert: Path
):
    weights = load_file(tiny_bert / "model.safetensors")
    total = float(weights["embeddings.word_embeddings.weight"].double().sum())
    vocabulary = (tiny_bert / "vocab.txt").read_text(encoding="utf-8").split("\n")
    assert first_visit["o/whole"]["sum"] == pytest.approx(total)
    assert [vocabulary[token] for token in first_visit["o/whole"]["tokens"]] == ["[CLS]", "你", "好", "[SEP]"]
    fetched = hub.fetched("o/whole")
    assert fetched[-1] == "model.safetensors"  # last, so that what the rest forbids costs no download
    assert len(fetched) == len(set(fetched))


@pytest.mark.parametrize(
    ("name", "finding"),
    [
        ("o/missing", "HTTP 404, no repository of this name"),
        ("o/private", "HTTP 401, no public repository of this name"),
        ("o/forbidden", "HTTP 403, access to it is refused"),
        ("o/gated", "it is gated"),
        ("o/broken", "HTTP 500"),
        (
            "o/pickled",
            "it needs model.safetensors (pickled weights are never loaded), found ",
        ),
        ("o/impostor", "pickled weights are never loaded"),
        ("o/own-code", "config.json asks for code of its own (auto_map), and no encoder's code is ever run"),
        ("o/own-code-of-a-bert", "config.json asks for code of its own"),
        ("o/garbled", "config.json is no JSON"),
        ("o/mute", "it has no tokenizer; expected tokenizer.json, vocab.txt"),
        ("no hub/id", "Repo id must use alphanumeric chars"),
    ],
)
def test_what_the_hub_has_not_or_forbids_is_one_line_within_seconds(
    name: str, finding: str, first_visit: Outcomes
):
    error = first_visit[name]["error"]
    assert error.startswith(f"model_name={name!r} can't be loaded: ")
    assert finding in error
    assert error.endswith(ALTERNATIVES)
    assert "\n" not in error
    assert first_visit[name]["seconds"] < 5


@pytest.mark.usefixtures("first_visit")
def test_pickles_and_code_are_never_even_fetched(hub: Hub):
    assert (hub.repositories["o/pickled"] / "pytorch_model.bin").is_file()
    assert (hub.repositories["o/with-code"] / "code.py").is_file()
    everything = [path for _, path in hub.requests]
    assert any(path.endswith("config.json") for path in everything)
    assert [path for path in everything if path.endswith((".bin", ".py"))] == []


@pytest.mark.usefixtures("first_visit")
@pytest.mark.parametrize("name", ["o/own-code", "o/garbled", "o/mute"])
def test_weights_are_not_fetched_where_the_rest_of_an_encoder_is_refused(name: str, hub: Hub):
    assert "config.json" in hub.fetched(name)
    assert "model.safetensors" not in hub.fetched(name)


def test_an_encoder_beside_pickles_and_code_is_loaded_without_them(first_visit: Outcomes):
    assert first_visit["o/with-code"]["sum"] == first_visit["o/whole"]["sum"]


def test_safetensors_that_the_hubs_own_account_proposes_for_pickles_are_taken(first_visit: Outcomes):
    assert first_visit["o/proposed"]["sum"] == first_visit["o/whole"]["sum"]


def test_a_repository_whose_discussions_are_closed_is_refused_as_any_with_pickles(
    first_visit: Outcomes, hub: Hub
):
    assert ("GET", "/api/models/o/pickled/discussions") in hub.requests
    assert "error" in first_visit["o/pickled"]


@pytest.fixture(scope="module")
def away(first_visit: Outcomes, visit: Callable[[list[Job]], list[Outcomes]]) -> dict[str, Outcomes]:
    """Four ways to be without a hub: what comes of encoders fetched before, and of one that wasn't."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        with socket.create_server(("127.0.0.1", 0)) as closed:
            refusing = closed.getsockname()[1]
        ways = {
            "refused": {"HF_ENDPOINT": f"http://127.0.0.1:{refusing}"},
            "silent": {"HF_ENDPOINT": f"http://127.0.0.1:{silent.getsockname()[1]}"},
            "nameless": {"HF_ENDPOINT": "http://hub.invalid"},
            "offline": {"HF_HUB_OFFLINE": "1"},
        }
        names = ["o/never-seen", "o/whole", "o/proposed"]
        # A hub that stays silent is waited for each time it is asked, so it is asked less.
        jobs = [
            (names[: 2 if way == "silent" else 3], settings | first_visit["cache"])
            for way, settings in ways.items()
        ]
        found = visit(jobs)
    return dict(zip(ways, found, strict=True))


@pytest.mark.parametrize(
    ("way", "finding"),
    [
        ("refused", "Connection refused"),
        ("silent", "timed out"),
        ("nameless", "can't be fetched from hub.invalid: "),
        ("offline", "HF_HUB_OFFLINE is set"),
    ],
)
def test_without_a_network_the_error_comes_soon_and_says_what_can_be_used(
    way: str, finding: str, away: dict[str, Outcomes]
):
    error = away[way]["o/never-seen"]["error"]
    assert finding in error
    assert error.endswith(ALTERNATIVES)
    assert "\n" not in error
    assert away[way]["o/never-seen"]["seconds"] < PATIENCE


@pytest.mark.parametrize(
    ("way", "name"),
    [
        *((way, "o/whole") for way in ("refused", "silent", "nameless", "offline")),
        *((way, "o/proposed") for way in ("refused", "nameless", "offline")),
    ],
)
def test_without_a_network_an_encoder_fetched_before_works_from_the_cache(
    way: str, name: str, away: dict[str, Outcomes], first_visit: Outcomes
):
    assert away[way][name]["sum"] == first_visit[name]["sum"]
    assert away[way][name]["tokens"] == first_visit[name]["tokens"]
    assert away[way][name]["seconds"] < PATIENCE


@pytest.fixture(scope="module")
def interrupted(
    hub: Hub,
    visit: Callable[[list[Job]], list[Outcomes]],
    tiny_bert: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[dict, Path]:
    """What came of an encoder whose weights broke off in the middle each time, and the cache that it left."""
    cache = tmp_path_factory.mktemp("cache")
    hub.repositories["o/long"] = tiny_bert
    hub.cut.add("model.safetensors")
    (found,) = visit([(["o/long"], {"HF_ENDPOINT": hub.address, "HF_HOME": str(cache)})])
    hub.cut.clear()
    return found["o/long"], cache


def test_weights_cut_off_in_the_middle_are_an_error_and_never_taken_for_whole(interrupted: tuple[dict, Path]):
    outcome, cache = interrupted
    assert "can't be fetched from 127.0.0.1" in outcome["error"]
    assert outcome["error"].endswith(ALTERNATIVES)
    assert "\n" not in outcome["error"]
    assert outcome["seconds"] < PATIENCE
    assert list(cache.rglob("snapshots/*/config.json")) != []
    assert list(cache.rglob("*.incomplete")) == []
    assert list(cache.rglob("snapshots/*/model.safetensors")) == []


def test_a_mistyped_hub_id_ends_a_training_before_it_has_a_run(
    hub: Hub, environment: dict[str, str], in_store: str, tmp_path: Path
):
    settings = {"HF_ENDPOINT": hub.address, "HF_HOME": str(tmp_path), "MLFLOW_TRACKING_URI": in_store}
    with start_command(
        "train_bert", {"model_name": "o/mistyped"}, environment=environment | settings, cwd=tmp_path
    ) as process:
        said, complained = process.communicate(timeout=60)
    assert process.returncode == USER_ERROR
    assert complained.startswith("error: model_name='o/mistyped' can't be loaded: ")
    assert complained.count("\n") == 1
    assert "secretsecret" not in said + complained
    assert MlflowClient().search_runs(["0"], "params.model_name = 'o/mistyped'") == []


def test_trainings_by_hub_id_fetch_the_encoder_once_and_then_need_no_hub(
    hub: Hub,
    interrupted: tuple[dict, Path],
    tiny_settings: dict[str, str],
    environment: dict[str, str],
    in_store: str,
    tmp_path: Path,
):
    """What the interrupted try left behind must not stand in the way of the next."""
    _, cache = interrupted
    settings = environment | {"HF_HOME": str(cache), "MLFLOW_TRACKING_URI": in_store}
    ours = {"model_name": "o/long", "epochs": "1", "register": "", "workspace": str(tmp_path / "workspace")}
    reduced = {"embeddings": "reduced", "embedding_size": "8", "gaussian_negatives": "false"}
    before = len(hub.requests)
    for command, flags, endpoint in (
        ("train_bert", {}, hub.address),
        ("train_cnn", reduced, "http://hub.invalid"),
    ):
        with start_command(
            command,
            tiny_settings | ours | flags,
            environment=settings | {"HF_ENDPOINT": endpoint},
            cwd=tmp_path,
        ) as process:
            said, complained = process.communicate(timeout=120)
        assert process.returncode == 0, complained
        assert "not registered" in said
        assert "secretsecret" not in said + complained
    assert hub.requests[before:].count(("GET", "/api/models/o/long")) == 1
    assert len(list((tmp_path / "workspace" / "embeddings").glob("*-8.safetensors"))) == 1
    found = MlflowClient().search_runs(["0"], "params.model_name = 'o/long' and status = 'FINISHED'")
    assert sorted(run.data.tags["family"] for run in found) == ["bert", "textcnn"]
