"""Latency: models take turns on one thread, and the threads come back."""

import dataclasses
import itertools
import time
from typing import Any

import pytest
import torch

from intents.evaluation.comparison import latency
from intents.models import directory
from tests.conftest import Trained


class Noted:
    """A tokenizer that notes whose turn it is and how many threads there are."""

    def __init__(self, name: str, tokenizer: Any, turns: list[tuple[str, str, int]]) -> None:
        self.name, self.tokenizer, self.turns = name, tokenizer, turns

    def __call__(self, texts: list[str], **settings: Any) -> Any:
        self.turns.append((self.name, *texts, torch.get_num_threads()))
        return self.tokenizer(texts, **settings)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.tokenizer, name)


@pytest.fixture
def threads() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield 2
    torch.set_num_threads(before)


def test_models_take_turns_and_the_first_of_each_pair_changes(trained: Trained, threads: int):
    model = directory.load(trained.directory)
    turns: list[tuple[str, str, int]] = []
    models = [dataclasses.replace(model, tokenizer=Noted(name, model.tokenizer, turns)) for name in "ab"]
    first, second = latency.measure(models, ["你好", "早上好"], timed=4)
    timed = turns[2 * 4 :]
    assert len(timed) == 2 * 4 * latency.ROUNDS
    assert [name for name, _, _ in timed[:16]] == list("abbaabba") + list("baabbaab")
    assert [text for _, text, _ in timed[:16]] == (["你好"] * 4 + ["早上好"] * 4) * 2
    assert {count for _, _, count in turns} == {1}
    assert torch.get_num_threads() == threads
    for measured in (first, second):
        assert 0 < measured.p50 <= measured.p95


def test_what_else_the_machine_does_now_and_then_counts_for_neither(trained: Trained):
    model = directory.load(trained.directory)
    calls = itertools.count()

    class Interrupted:
        """A tokenizer that is held up in nearly half of its calls, and not in the others."""

        def __call__(self, texts: list[str], **settings: Any) -> Any:
            if next(calls) // 7 % 2:
                time.sleep(0.05)
            return model.tokenizer(texts, **settings)

        def __getattr__(self, name: str) -> Any:
            return getattr(model.tokenizer, name)

    disturbed = dataclasses.replace(model, tokenizer=Interrupted())
    usual, held_up = latency.measure([model, disturbed], ["你好", "早上好"], timed=20)
    assert held_up.p95 < usual.p50 + 15


def test_a_model_with_five_times_the_work_is_seen_to_be_slower(trained: Trained):
    model = directory.load(trained.directory)

    class Slow(torch.nn.Module):
        """Does everything five times."""

        def __init__(self, module: Any) -> None:
            super().__init__()
            self.module, self.config, self.device = module, module.config, module.device

        def forward(self, **batch: Any) -> Any:
            for _ in range(4):
                self.module.base_model(**batch)
            return self.module(**batch)

    slow = dataclasses.replace(model, module=Slow(model.module))
    usual, slower = latency.measure([model, slow], ["你好"], timed=30)
    assert slower.p50 > 1.5 * usual.p50
