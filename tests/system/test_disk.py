"""A file is replaced in one step: whoever reads it meanwhile finds the old content or the new."""

import os
from pathlib import Path

import pytest

from intents.system import disk


def test_a_file_is_replaced_with_nothing_left_beside_it(tmp_path: Path):
    file = tmp_path / "state.json"
    for text in ("old", "新"):
        disk.replace(file, text)
        assert file.read_text(encoding="utf-8") == text
    assert list(tmp_path.iterdir()) == [file]


def test_the_content_is_on_the_disk_before_the_name_and_the_name_before_it_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    file, aside = tmp_path / "table", tmp_path / "table.123"
    aside.write_text("new")
    done: list[str] = []
    renamed = os.replace
    monkeypatch.setattr(
        os, "fsync", lambda number: done.append(Path(os.readlink(f"/proc/self/fd/{number}")).name)
    )
    monkeypatch.setattr(os, "replace", lambda *names: (done.append("renamed"), renamed(*names)))
    disk.put(aside, file)
    assert done == ["table.123", "renamed", tmp_path.name]
    assert file.read_text() == "new"


def test_what_can_not_be_put_in_place_leaves_the_old_content(tmp_path: Path):
    file = tmp_path / "table"
    file.write_text("old")
    with pytest.raises(FileNotFoundError):
        disk.put(tmp_path / "gone", file)
    assert file.read_text() == "old"
