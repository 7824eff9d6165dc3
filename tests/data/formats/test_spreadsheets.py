"""Spreadsheets: no text of a table is a formula in one, and each is read back as it was."""

import csv
import random
from pathlib import Path

import pandas as pd
import pytest

from intents.data.formats import spreadsheets
from intents.data.formats.spreadsheets import as_it_was, harmless

FORMULAS = [
    '=HYPERLINK("http://x.example","open")',
    "+1+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    " =1",
    "＝1",
]


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_begins_with_an_apostrophe_and_is_read_back(text: str) -> None:
    assert harmless(text).startswith("'")
    assert as_it_was(harmless(text)) == text


@pytest.mark.parametrize("separator", [",", ";", "|", "\t", "\n", "\r\n"])
def test_so_does_one_behind_a_separator_at_which_a_spreadsheet_may_part_the_text(separator: str) -> None:
    text = f"hello{separator}=1+1"
    assert harmless(text).endswith("'=1+1")
    assert as_it_was(harmless(text)) == text


@pytest.mark.parametrize(
    "text", ["", "'tis", "it's 5-3", "a=b", "c++", "你好，在吗", "1.5", "''", "a, 'b'", "x@y.z"]
)
def test_what_is_no_formula_stays_as_it_is(text: str) -> None:
    assert harmless(text) == as_it_was(text) == text


def test_every_text_is_read_back_as_it_was_and_no_cell_begins_a_formula() -> None:
    generator = random.Random(0)
    for _ in range(20_000):
        text = "".join(generator.choices("=+-@'' \t\r\n,;|a＝", k=generator.randint(0, 8)))
        written = harmless(text)
        assert as_it_was(written) == text
        for cell in written.replace(",", ";").replace("|", ";").replace("\t", ";").split(";"):
            assert cell.lstrip(" \r\n")[:1] not in set("=+-@＝"), (text, written)


def test_no_module_writes_a_csv_of_texts_but_through_this_one() -> None:
    """data/corpus.py hashes its csv, and that of tracking/training/by_share.py holds numbers alone."""
    sources = Path(spreadsheets.__file__).parents[2].rglob("*.py")
    writers = {
        path.name
        for path in sources
        for line in path.read_text("utf-8").splitlines()
        if ".to_csv(" in line and "harmless_table(" not in line
    }
    assert writers == {"corpus.py", "by_share.py"}


def test_a_table_is_written_without_a_formula_in_its_cells_its_index_or_its_header(tmp_path: Path) -> None:
    table = pd.DataFrame({"=head": ["=1", None], "number": [-1.5, 2.0]}, index=["-a", "b"]).rename_axis(
        "name"
    )
    spreadsheets.write(table, tmp_path / "t.csv", index=True)
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows == [["name", "'=head", "number"], ["'-a", "'=1", "-1.5"], ["b", "", "2.0"]]
