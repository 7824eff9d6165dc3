"""Damaged and forbidden model directories: each is refused, and the live version stays."""

import json
import os
import pickle
import shutil
import struct
import subprocess
from collections import Counter
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from bench.promotion.promoter import smoke_in_this_process
from bench.promotion.publishers import version_in
from intents.errors import IntentsError, PromotionError
from intents.models.file_names import (
    CONFIG,
    MANIFEST,
    MAPPING,
    MODEL_FILES,
    PROMOTION,
    SANITY_PREDICTIONS,
    TOKENIZER_CONFIG,
    WEIGHTS,
)
from registry import record, transaction
from registry.checks import smoke, smoke_child
from registry.record import Identity
from registry.target import Target
from registry.transaction import Candidate
from tests.conftest import Logged
from tests.registry.conftest import stored

Damage = Callable[[Path], None]


def flip(name: str) -> Damage:
    def damage(directory: Path) -> None:
        content = bytearray((directory / name).read_bytes())
        content[len(content) // 3] ^= 4
        (directory / name).write_bytes(content)

    return damage


def cut(name: str, size: int) -> Damage:
    return lambda directory: os.truncate(directory / name, size)


def remove(name: str) -> Damage:
    return lambda directory: (directory / name).unlink()


def add(name: str, content: bytes = b"x") -> Damage:
    return lambda directory: bool((directory / name).write_bytes(content)) and None


def both(one: Damage, other: Damage) -> Damage:
    def damage(directory: Path) -> None:
        one(directory)
        other(directory)

    return damage


def sealed(damage: Damage) -> Damage:
    """The damage, and a manifest that agrees with it: what someone who means harm would write."""

    def damage_and_seal(directory: Path) -> None:
        damage(directory)
        names = [path.name for path in directory.iterdir() if path.name != MANIFEST]
        contents = {name: (directory / name).read_bytes() for name in names}
        files = {name: {"sha256": sha256(c).hexdigest(), "bytes": len(c)} for name, c in contents.items()}
        (directory / MANIFEST).write_text(json.dumps({"format_version": 1, "files": files}))

    return damage_and_seal


def edit(name: str, change: Callable[[dict[str, Any]], object]) -> Damage:
    def damage(directory: Path) -> None:
        content = json.loads((directory / name).read_text(encoding="utf-8"))
        change(content)
        (directory / name).write_text(json.dumps(content), encoding="utf-8")

    return damage


def link(name: str, leads_to: str) -> Damage:
    def damage(directory: Path) -> None:
        (directory / name).unlink()
        (directory / name).symlink_to(leads_to)

    return damage


def fill_with_nan(directory: Path) -> None:
    tensors = load_file(directory / WEIGHTS)
    largest = max(tensors, key=lambda name: tensors[name].numel())
    tensors[largest] = torch.full_like(tensors[largest], float("nan"))
    save_file(tensors, directory / WEIGHTS, metadata={"format": "pt"})


def shuffle_weights(directory: Path) -> None:
    tensors = {name: tensor.flip(0).contiguous() for name, tensor in load_file(directory / WEIGHTS).items()}
    save_file(tensors, directory / WEIGHTS, metadata={"format": "pt"})


def drop_a_tensor(directory: Path) -> None:
    tensors = load_file(directory / WEIGHTS)
    save_file(dict(sorted(tensors.items())[1:]), directory / WEIGHTS, metadata={"format": "pt"})


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, ("/tmp/this_was_executed",))


PICKLE = pickle.dumps(Evil())
AUTO_MAP = {"AutoModelForSequenceClassification": "modeling_evil.Evil"}
DAMAGES: dict[str, Damage] = {
    **{f"a flipped bit in {name}": flip(name) for name in (*MODEL_FILES, MANIFEST)},
    "weights a byte short": lambda directory: cut(WEIGHTS, (directory / WEIGHTS).stat().st_size - 1)(directory),
    "empty weights": cut(WEIGHTS, 0),
    "half a config": cut(CONFIG, 100),
    "no weights": remove(WEIGHTS),
    "no mapping": remove(MAPPING),
    "no manifest": remove(MANIFEST),
    "a link to a file elsewhere": link(WEIGHTS, "/etc/hostname"),
    "a link to nowhere": link(SANITY_PREDICTIONS, "nowhere"),
    "a manifest that is a link": link(MANIFEST, "/etc/hostname"),
    "a folder": lambda directory: (directory / "more").mkdir(),
    "a FIFO": lambda directory: os.mkfifo(directory / "vocab.json"),
    "a pickle beside the weights": sealed(add("pytorch_model.bin", PICKLE)),
    "a pickle in the weights' place": sealed(add(WEIGHTS, PICKLE)),
    "a pickle unlisted": add("training_args.bin", PICKLE),
    "code": sealed(add("modeling_evil.py", b"import os")),
    "user text": sealed(add("training_dataset_snapshot.parquet")),
    "a record of its own": sealed(add(PROMOTION, b"{}")),
    "a record of its own that its manifest doesn't name": add(PROMOTION, b"{}"),
    "auto_map of a model": sealed(edit(CONFIG, lambda c: c.update(auto_map=AUTO_MAP))),
    "auto_map of a tokenizer": sealed(edit(TOKENIZER_CONFIG, lambda c: c.update(auto_map=AUTO_MAP))),
    "a mapping of one intent less": sealed(edit(MAPPING, lambda c: c["id2intent"].popitem())),
    "a mapping that contradicts itself": sealed(edit(MAPPING, lambda c: c["id2intent"].update({"0": "other"}))),
    "a mapping and a config of fewer intents than the weights": sealed(
        both(
            edit(MAPPING, lambda c: (c["id2intent"].pop("3"), c["intent2id"].popitem())),
            edit(CONFIG, lambda c: (c["id2label"].pop("3"), c["label2id"].popitem())),
        )
    ),
    "a manifest that names a file above": edit(MANIFEST, lambda c: c["files"].update({"../x": {}})),
    "a manifest that names a file by its path": edit(MANIFEST, lambda c: c["files"].update({"/etc/passwd": {}})),
    "a manifest without end": lambda directory: add(MANIFEST, b"[" * 100_000)(directory),
    "a number without end": sealed(lambda directory: add(CONFIG, b'{"a": ' + b"9" * 5000 + b"}")(directory)),
    "a header of terabytes": sealed(lambda directory: add(WEIGHTS, struct.pack("<Q", 1 << 42) + b"{}")(directory)),
    "tensors outside the file": sealed(
        lambda directory: add(
            WEIGHTS, struct.pack("<Q", 62) + b'{"a":{"dtype":"F32","shape":[9999],"data_offsets":[0,39996]}}  '
        )(directory)
    ),
    "a tensor missing": sealed(drop_a_tensor),
    "weights that are no numbers": sealed(fill_with_nan),
    "weights of another model": sealed(shuffle_weights),
    "an architecture that nobody knows": sealed(edit(CONFIG, lambda c: c.update(model_type="evil"))),
    "no rule of rejection": sealed(edit(CONFIG, lambda c: c.pop("rejection"))),
    "a mapping that is no object": sealed(add(MAPPING, b"[]")),
}  # fmt: skip


@pytest.fixture
def copy(versions: tuple[Logged, Logged], in_store: str, tmp_path: Path) -> Path:
    assert in_store
    return Path(shutil.copytree(stored(versions[0]), tmp_path / "model"))


@pytest.fixture
def offer(prepared: Callable[..., Path]) -> tuple[Path, Callable[[Path], None]]:
    """A target where toy version 1 is live, and how a directory, which is moved away, is published over it."""
    target = prepared(1)

    def publish(directory: Path) -> None:
        candidate = Candidate(
            identity=Identity("toy", "2", "run2", "m-2"),
            source="models:/m-2",
            size=0,
            fetch=lambda folder: Path(shutil.move(directory, folder / "model")),
        )
        store = Target(target)
        with transaction.queueing(store, wait=1), smoke_in_this_process() as check:
            transaction.publish(store, candidate, checks={"smoke": check}, before_commit=lambda: None)

    return target, publish


def test_an_undamaged_one_is_published(copy: Path, offer: tuple[Path, Callable[[Path], None]]):
    target, publish = offer
    publish(copy)
    assert record.check(target.resolve()).identity.version == "2"


def test_resealed_without_damage_it_is_published_too(copy: Path, offer: tuple[Path, Callable[[Path], None]]):
    sealed(lambda _: None)(copy)
    offer[1](copy)


@pytest.mark.parametrize("what", DAMAGES)
def test_a_damaged_or_forbidden_one_is_refused_and_the_live_version_stays(
    what: str, copy: Path, offer: tuple[Path, Callable[[Path], None]], figures: Counter[str]
):
    target, publish = offer
    DAMAGES[what](copy)
    with pytest.raises(IntentsError, match="toy version 2 is refused: "):
        publish(copy)
    assert version_in(target) == 1
    assert sorted(path.name[:2] for path in Target(target).folder.iterdir()) == [".l", ".p", "hi", "v1"]
    assert not Path("/tmp/this_was_executed").exists()
    figures["damaged or forbidden versions that were refused"] += 1


def test_a_published_directory_registered_again_as_it_is_is_refused_by_its_record(
    copy: Path, offer: tuple[Path, Callable[[Path], None]], tmp_path: Path
):
    target, publish = offer
    publish(copy)
    again = Path(shutil.copytree(target.resolve(), tmp_path / "again"))
    with pytest.raises(PromotionError, match=r"promotion\.json of its own, which only publishing writes"):
        publish(again)


def test_no_check_ever_sees_a_directory_that_holds_a_link(tmp_path: Path, toys: dict[int, Path]):
    """Reading what a link leads to, or waiting at a FIFO, is harm enough."""
    (toys[1] / "manifest.json").symlink_to("/etc/hostname")
    candidate = Candidate(Identity("toy", "1", "run", "m-1"), "models:/m-1", 0, lambda _: toys[1])
    store, seen = Target(tmp_path / "models" / "intent_predictor"), []
    with (
        transaction.queueing(store, wait=1),
        pytest.raises(PromotionError, match=r"manifest\.json is a link"),
    ):
        transaction.publish(
            store, candidate, checks={"seen": lambda d: seen.append(d) or {}}, before_commit=list
        )
    assert seen == []


def test_at_least_thirty_are_tried():
    assert len(DAMAGES) >= 30


def test_the_child_process_finds_what_this_one_finds(copy: Path):
    with smoke.smoke() as check:
        found = dict(check(copy))
    here = smoke_child.judge(copy)
    assert found["predictions"] == here["predictions"]
    assert len(found["predictions"]) == len(smoke_child.UTTERANCES)


def test_the_child_process_refuses_in_the_words_of_this_one(copy: Path):
    DAMAGES["a flipped bit in config.json"](copy)
    with smoke.smoke() as check, pytest.raises(PromotionError) as caught:
        check(copy)
    assert str(caught.value) == smoke_child.judge(copy)["refused"]


@pytest.mark.parametrize(
    ("script", "said"),
    [("echo out of memory >&2; kill -9 $$", "code -9: out of memory"), ("exit 3", "code 3: it said")],
)
def test_a_child_process_that_dies_is_a_refusal(script: str, said: str, copy: Path):
    pipe = subprocess.PIPE
    with (
        subprocess.Popen(["sh", "-c", script], stdin=pipe, stdout=pipe, stderr=pipe, text=True) as child,
        pytest.raises(PromotionError, match=f"the process that loaded the model ended with {said}"),
    ):
        smoke._verdict(child, copy)


@pytest.mark.parametrize("event", smoke_child.FORBIDDEN_EVENTS)
def test_the_child_process_reaches_no_network_unpickles_nothing_and_starts_nothing(event: str):
    with pytest.raises(PromotionError, match=f"would need {event}"):
        smoke_child._forbid(event, ("argument",))


def test_other_events_are_none_of_its_business():
    smoke_child._forbid("open", ("config.json",))
