"""What an operator may set for a server."""

import sys

import pytest

from intents.errors import ConfigError
from intents.serving import limits


def test_each_limit_is_read_from_its_variable_and_the_others_keep_their_defaults():
    found = limits.from_environment({"INTENTS_MOST_ROWS": "7", "INTENTS_THREADS": "2", "PATH": "x"})
    assert (found.rows, found.threads, found.characters) == (7, 2, 10_000)


def test_in_a_process_of_ones_own_only_texts_are_refused():
    unlimited = ("rows", "request_characters", "queue", "long_requests")
    assert all(getattr(limits.IN_PROCESS, name) == sys.maxsize for name in unlimited)
    assert limits.IN_PROCESS.characters == limits.Limits().characters


@pytest.mark.parametrize("text", ["", "0", "-1", "1.5", "abc", "１", "9" * 5_000])
def test_a_value_that_is_no_whole_number_is_refused_and_named(text: str):
    with pytest.raises(ConfigError, match=r"INTENTS_QUEUE=.*expected a whole number from 1"):
        limits.from_environment({"INTENTS_QUEUE": text})
