"""Requests that something is wrong with, as a network, a careless client or a malicious one makes them."""

import json
import random
from collections.abc import Callable, Sequence
from typing import NamedTuple

ODD_TEXTS = (
    "",
    " ",
    "\u3000\t",
    "\u200b",
    "a\0b",
    "\ud83d",
    "e" + "\u0301" * 300,
    "😀" * 50,
    "مرحبا",
    "好" * 20_000,
)
NO_TEXTS = (None, 0, -1.5, True, [], ["a"], {}, {"text": "a"}, 10**30, float("nan"))
WRONG_PARAMS = (
    {"top_k": -1},
    {"top_k": 1001},
    {"top_k": "3"},
    {"top_k": 1.5},
    {"top_k": None},
    {"threshold": "low"},
    {"threshold": float("nan")},
    {"threshold": float("inf")},
    {"threshold": [1]},
    {"unknown": 1},
    [],
    "top_k",
    7,
)
WRONG_INPUTS = (None, "a text", 7, {}, {"text": ["a"]}, [["a"], ["b"]], [[]])
OTHER_KEYS = ("instances", "dataframe_split", "dataframe_records", "input", "text")
CONTENT_TYPES = (
    "text/plain",
    "application/xml",
    "application/json; charset=latin-1",
    "application/json; x=1",
    "",
)


class Request(NamedTuple):
    """What is posted."""

    body: bytes
    content_type: str = "application/json"


def mutated(texts: Sequence[str], number: int) -> Request:
    """The request of that number, always the same: sound texts, spoiled in one of many ways."""
    chance = random.Random(number)
    asked = chance.choices(texts, k=chance.choice((1, 1, 2, 5, 20)))
    return chance.choice(_MUTATIONS)(chance, asked)


def _spoiled_row(chance: random.Random, texts: list[str]) -> Request:
    texts[chance.randrange(len(texts))] = chance.choice((*ODD_TEXTS, *NO_TEXTS))  # type: ignore[call-overload]
    return _json({"inputs": texts})


def _spoiled_inputs(chance: random.Random, texts: list[str]) -> Request:  # noqa: ARG001
    return _json({"inputs": chance.choice(WRONG_INPUTS)})


def _spoiled_params(chance: random.Random, texts: list[str]) -> Request:
    params = chance.choice(WRONG_PARAMS)
    return _json({"inputs": texts, "params": params})


def _too_many(chance: random.Random, texts: list[str]) -> Request:
    return _json({"inputs": texts[:1] * chance.choice((1_001, 5_000, 20_000))})


def _too_long(chance: random.Random, texts: list[str]) -> Request:
    return _json({"inputs": [*texts, chance.choice("a 好\u0301") * chance.choice((10_001, 300_000))]})


def _long_but_allowed(chance: random.Random, texts: list[str]) -> Request:
    return _json({"inputs": [texts[0] * (9_000 // max(1, len(texts[0])))] * chance.choice((1, 5))})


def _other_key(chance: random.Random, texts: list[str]) -> Request:
    return _json({chance.choice(OTHER_KEYS): texts})


def _cut_off(chance: random.Random, texts: list[str]) -> Request:
    body = _json({"inputs": texts}).body
    return Request(body[: chance.randrange(len(body))])


def _flipped_byte(chance: random.Random, texts: list[str]) -> Request:
    body = bytearray(_json({"inputs": texts}).body)
    body[chance.randrange(len(body))] = chance.randrange(256)
    return Request(bytes(body))


def _not_utf8(chance: random.Random, texts: list[str]) -> Request:  # noqa: ARG001
    return Request(json.dumps({"inputs": texts}, ensure_ascii=False).encode("utf-16"))


def _table(chance: random.Random, texts: list[str]) -> Request:
    lines = [chance.choice(("text", "id,text", "", '"text'))]
    lines += [chance.choice((text, f"7,{text}", f'"{text}"', f'a"{text}', "")) for text in texts]
    return Request("\n".join(lines).encode(), "text/csv")


def _other_type(chance: random.Random, texts: list[str]) -> Request:
    return Request(_json({"inputs": texts}).body, chance.choice(CONTENT_TYPES))


def _json(content: object) -> Request:
    return Request(json.dumps(content).encode())


_MUTATIONS: tuple[Callable[[random.Random, list[str]], Request], ...] = (
    *(_spoiled_row,) * 6,
    *(_spoiled_inputs,) * 2,
    *(_spoiled_params,) * 2,
    _too_many,
    _too_long,
    _long_but_allowed,
    _other_key,
    _cut_off,
    *(_flipped_byte,) * 2,
    _not_utf8,
    *(_table,) * 2,
    _other_type,
)
