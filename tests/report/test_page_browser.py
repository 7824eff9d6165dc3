"""What a person sees and does on report.html, in a real headless Chromium: `make test-services`."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bench.report import browser
from bench.report.browser import Browser
from intents.report.page.content import DataNote, ReportContent
from intents.report.page.page import page
from tests.report.test_page import HOSTILE, content_of, many_rows

pytestmark = [
    pytest.mark.services,
    pytest.mark.skipif(browser.program() is None, reason="no Chromium here: apt-get install chromium"),
]
ARROW_LEFT, ARROW_UP, ARROW_RIGHT, ARROW_DOWN, ENTER, HOME, TAB = 37, 38, 39, 40, 13, 36, 9


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("chromium")) as opened:
        yield opened


@pytest.fixture
def shown(tab: Browser, tmp_path: Path) -> "Shown":
    tab.resize(1200, 900)
    return Shown(tab, tmp_path / "report.html", content_of(many_rows()))


class Shown:
    """A page of this content that is open in the tab."""

    def __init__(self, tab: Browser, path: Path, content: ReportContent) -> None:
        self.tab, self.path, self.content = tab, path, content
        path.write_text(page(content), encoding="utf-8")
        tab.complaints.clear()
        tab.open(path)

    @property
    def in_scope(self) -> pd.DataFrame:
        return self.content.predictions[self.content.predictions["true_intent"] != ""]

    def text(self, selector: str) -> str:
        found: str = self.tab.value(f"document.querySelector({json.dumps(selector)}).innerText")
        return found

    def texts(self, selector: str) -> list[str]:
        """The text of every element that matches."""
        script = f"[...document.querySelectorAll({json.dumps(selector)})].map((found) => found.textContent)"
        found: list[str] = self.tab.value(script)
        return found

    def column(self, name: str) -> list[str]:
        """The cells of a column of the table of intents."""
        headings = [text.strip() for text in self.texts("#intents-table thead th")]
        return self.texts(f"#intents-table tbody td:nth-child({headings.index(name) + 1})")

    def click_heading(self, name: str) -> None:
        headings = [text.strip() for text in self.texts("#intents-table thead th")]
        self.tab.click_on(f"#intents-table thead th:nth-child({headings.index(name) + 1}) button")

    def click_cell(self, true: str, predicted: str) -> None:
        """Clicks on the cell of the confusion matrix; "" for the names to its left or at its top."""
        self.tab.middle("#matrix-box")
        label = {name: number for number, name in enumerate(self.content.per_intent.index)}
        label |= {"(out-of-scope)": len(label), "Unknown (rejected)": len(label)}
        script = (
            f"(() => {{ const box = matrix.canvas.getBoundingClientRect();"
            f"const half = matrix.size / 2;"
            f"const y = {json.dumps(true)} ? matrix.y(matrix.rows.indexOf({label.get(true)})) + half : matrix.top - 20;"
            f"const x = {json.dumps(predicted)} ?"
            f"  matrix.x(matrix.columns.indexOf({label.get(predicted)})) + half : matrix.left - 20;"
            f"return [box.x + x, box.y + y]; }})()"
        )
        self.tab.click(*self.tab.value(script))

    def said(self, panel: str) -> list[str]:
        """The utterances in a panel."""
        return self.texts(f"{panel} .said")

    def counts(self) -> dict[str, tuple[int, int]]:
        """Accepted and rejected rows beside the slider, by group."""
        rows = [self.texts(f"#threshold-counts tbody tr:nth-child({place}) td") for place in (1, 2)]
        as_number = lambda text: int(text.split(" (")[0].replace(",", ""))  # noqa: E731
        return {row[0]: (as_number(row[1]), as_number(row[2])) for row in rows if row}


def utterances_of(rows: pd.DataFrame, true: str, predicted: str) -> list[str]:
    """Of a cell, the most confident first."""
    cell = rows[(rows["true_intent"] == true) & (rows["pred_intent"] == predicted)]
    return cell.sort_values("confidence", ascending=False)["text"].tolist()


def fullest_mistake(rows: pd.DataFrame) -> tuple[str, str]:
    wrong = rows[rows["true_intent"] != rows["pred_intent"]]
    true, predicted = wrong.groupby(["true_intent", "pred_intent"]).size().idxmax()
    return true, predicted


def test_page_opens_without_a_complaint_and_asks_for_nothing_but_itself(shown: Shown):
    assert shown.tab.complaints == []
    assert shown.tab.requests == [shown.path.as_uri()]
    assert shown.text("h1") == "textcnn on chat_zh"
    assert shown.tab.value("Number(document.documentElement.dataset.ready)") > 0


def test_a_click_on_a_cell_shows_its_utterances(shown: Shown):
    true, predicted = fullest_mistake(shown.in_scope)
    shown.click_cell(true, predicted)
    expected = utterances_of(shown.in_scope, true, predicted)
    assert len(expected) > 1
    assert shown.said("#matrix-utterances") == expected
    share = f"{len(expected)} of its {(shown.in_scope['true_intent'] == true).sum()} test rows"
    assert shown.text("#matrix-readout").startswith(f"true {true} → predicted {predicted}: {share}")


def test_a_click_on_the_diagonal_shows_what_was_right(shown: Shown):
    shown.click_cell("意图 3", "意图 3")
    assert shown.said("#matrix-utterances") == utterances_of(shown.in_scope, "意图 3", "意图 3")[:40]


@pytest.mark.parametrize(("true", "predicted"), [("意图 2", ""), ("", "意图 2")])
def test_a_click_on_a_name_shows_all_mistakes_of_its_row_or_column(shown: Shown, true: str, predicted: str):
    shown.click_cell(true, predicted)
    column = "true_intent" if true else "pred_intent"
    rows = shown.in_scope
    wrong = rows[(rows[column] == "意图 2") & (rows["true_intent"] != rows["pred_intent"])]
    assert len(wrong) > 3
    assert set(shown.said("#matrix-utterances")) == set(wrong["text"])


def test_the_matrix_is_walked_with_the_arrow_keys(shown: Shown):
    shown.tab.value("matrix.cursor = [0, 0]; matrix.canvas.focus()")
    for key, code in (("ArrowDown", ARROW_DOWN), ("ArrowRight", ARROW_RIGHT), ("ArrowRight", ARROW_RIGHT)):
        shown.tab.press(key, code)
    intents = shown.content.per_intent.index
    row, column = shown.tab.value("[matrix.rows[1], matrix.columns[2]]")
    assert shown.text("#matrix-readout").startswith(f"true {intents[row]} → predicted {intents[column]}")
    shown.tab.press("Enter", ENTER)
    expected = utterances_of(shown.in_scope, intents[row], intents[column])
    assert shown.said("#matrix-utterances") == expected


def test_after_rejection_the_matrix_shows_what_was_rejected_and_what_was_let_in(shown: Shown):
    shown.tab.click_on("#matrix-rejects")
    shown.click_cell("(out-of-scope)", "意图 1")
    rows = shown.content.predictions
    let_in = rows[(rows["true_intent"] == "") & (rows["pred_intent"] == "意图 1") & rows["in_scope"]]
    assert len(let_in) > 0
    assert set(shown.said("#matrix-utterances")) == set(let_in["text"])
    shown.click_cell("意图 1", "Unknown (rejected)")
    rejected = rows[(rows["true_intent"] == "意图 1") & ~rows["in_scope"]]
    assert len(rejected) > 0
    assert set(shown.said("#matrix-utterances")) == set(rejected["text"])


def test_a_found_intent_keeps_only_those_it_is_confused_with(shown: Shown):
    shown.tab.click_on("#matrix-filter")
    shown.tab.type("意图 5")
    rows = shown.in_scope
    wrong = rows[rows["true_intent"] != rows["pred_intent"]]
    near = wrong[(wrong["true_intent"] == "意图 5") | (wrong["pred_intent"] == "意图 5")]
    expected = {"意图 5", *near["true_intent"], *near["pred_intent"]}
    assert {shown.content.per_intent.index[label] for label in shown.tab.value("matrix.rows")} == expected


def test_the_worst_confusion_is_listed_first_and_leads_to_its_utterances(shown: Shown):
    true, predicted = fullest_mistake(shown.in_scope)
    expected = utterances_of(shown.in_scope, true, predicted)
    assert shown.texts("#matrix-worst button")[0].endswith(f"({len(expected)})")
    shown.click_cell("意图 3", "意图 3")
    shown.tab.click_on("#matrix-worst li:first-child button")
    assert len(shown.said("#matrix-utterances")) == len(expected)


def test_the_slider_starts_at_the_models_own_threshold(shown: Shown):
    rows = shown.content.predictions
    is_in_scope = rows["true_intent"] != ""
    accepted = rows["energy"] <= shown.content.threshold
    assert shown.counts() == {
        "in-scope": ((accepted & is_in_scope).sum(), (~accepted & is_in_scope).sum()),
        "out-of-scope": ((accepted & ~is_in_scope).sum(), (~accepted & ~is_in_scope).sum()),
    }
    assert shown.text("#threshold-value") == "-4.000, the model's own"


def test_counts_measures_and_examples_follow_the_slider(shown: Shown):
    shown.tab.value("document.getElementById('threshold').focus()")
    for _ in range(30):
        shown.tab.press("ArrowLeft", ARROW_LEFT)
    threshold = float(shown.tab.value("report.sweep.threshold[document.getElementById('threshold').value]"))
    assert threshold < shown.content.threshold - 0.5
    assert shown.text("#threshold-value").startswith(f"{threshold:.3f} (the model's own is -4.000")

    rows = shown.content.predictions.sort_values("energy")
    is_in_scope, accepted = rows["true_intent"] != "", rows["energy"] <= threshold
    assert shown.counts() == {
        "in-scope": ((accepted & is_in_scope).sum(), (~accepted & is_in_scope).sum()),
        "out-of-scope": ((accepted & ~is_in_scope).sum(), (~accepted & ~is_in_scope).sum()),
    }
    recall = (accepted & is_in_scope).sum() / is_in_scope.sum()
    measures = dict(zip(shown.texts("#threshold-measures td:first-child"),
                        shown.texts("#threshold-measures td:nth-child(2)"), strict=True))  # fmt: skip
    assert measures["recall of accepting"] == f"{recall:.1%}"
    assert shown.said("#just-accepted") == rows.loc[accepted, "text"].tolist()[:-9:-1]
    assert shown.said("#just-rejected") == rows.loc[~accepted, "text"].tolist()[:8]
    # An in-scope row that this threshold rejects and the model's own accepts is told as this one has it.
    assert "rejected, but in-scope" in shown.text("#just-rejected")


def test_the_slider_goes_back_to_the_models_own_threshold(shown: Shown):
    before = shown.counts()
    shown.tab.value("document.getElementById('threshold').focus()")
    shown.tab.press("Home", HOME)
    assert shown.counts() != before
    shown.tab.click_on("#threshold-reset")
    assert shown.counts() == before


def test_the_table_starts_with_the_worst_intent(shown: Shown):
    worst = shown.content.per_intent["f1-score"].sort_values(kind="stable")
    assert shown.column("intent") == worst.index.tolist()
    assert shown.column("F1") == [f"{value:.1%}" for value in worst]


def test_a_click_on_a_heading_sorts_and_another_one_turns_the_order(shown: Shown):
    support = sorted(shown.content.per_intent["support"])
    shown.click_heading("test rows")
    assert [int(text) for text in shown.column("test rows")] == support
    sorted_by = "[...document.querySelectorAll('#intents-table th')].map((head) => head.ariaSort)"
    assert [order for order in shown.tab.value(sorted_by) if order != "none"] == ["ascending"]
    shown.click_heading("test rows")
    assert [int(text) for text in shown.column("test rows")] == support[::-1]
    assert [order for order in shown.tab.value(sorted_by) if order != "none"] == ["descending"]


def test_the_table_is_filtered_by_what_is_typed(shown: Shown):
    shown.tab.click_on("#intents-filter")
    shown.tab.type("图 4")
    assert shown.column("intent") == ["意图 4"]
    assert shown.text("#intents-count") == "1 of 8 intents"


def test_a_confusion_of_the_table_leads_to_its_utterances(shown: Shown):
    intent = shown.column("intent")[0]
    wrong = shown.in_scope[shown.in_scope["true_intent"] == intent]
    wrong = wrong[wrong["pred_intent"] != intent]
    shown.tab.click_on("#intents-table tbody tr:first-child button")
    most = wrong["pred_intent"].value_counts().max()
    assert len(shown.said("#matrix-utterances")) == most
    assert set(shown.said("#matrix-utterances")) <= set(wrong["text"])


def test_every_control_is_reached_by_the_tab_key(shown: Shown):
    reached = set()
    shown.tab.value("document.activeElement.blur()")
    for _ in range(120):
        shown.tab.press("Tab", TAB)
        reached.add(shown.tab.value("document.activeElement.id || document.activeElement.textContent"))
    controls = {"intents-filter", "matrix-order", "matrix-zoom", "matrix-filter", "matrix-rejects", "matrix"}
    assert controls | {"threshold", "F1", "show"} <= reached


def test_hardest_examples_are_the_most_confident_mistakes(shown: Shown):
    rows = shown.in_scope[shown.in_scope["true_intent"] != shown.in_scope["pred_intent"]]
    hardest = rows.sort_values("confidence", ascending=False)["text"].tolist()
    assert len(hardest) > 40
    assert shown.said("#hardest-wrong") == hardest[:40]
    shown.tab.click_on("#hardest-wrong > button")
    assert shown.said("#hardest-wrong") == hardest[:80]


@pytest.mark.parametrize("width", [1200, 600])
def test_nothing_is_wider_than_the_window(tab: Browser, tmp_path: Path, width: int):
    tab.resize(width, 900)
    rows = [(f"{'长' * 200}{row[0]}", *row[1:]) for row in many_rows()]
    findings = [DataNote("high", "字" * 200, pd.DataFrame({"text": ["long" * 100], "label": ["x"]}))]
    Shown(tab, tmp_path / "report.html", content_of(rows, findings=findings, verdict="w" * 300))
    assert tab.value("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("zoom", [3, 12, 36])
def test_a_cell_of_150_intents_is_found_at_every_zoom(tab: Browser, tmp_path: Path, zoom: int):
    tab.resize(1200, 900)
    rows = many_rows(in_scope=4500, out_of_scope=1000, intents=150)
    shown = Shown(tab, tmp_path / "report.html", content_of(rows))
    true, predicted = fullest_mistake(shown.in_scope)
    label = list(shown.content.per_intent.index).index
    tab.value(f"matrix.zoom({zoom}); matrix.show({label(true)}, {label(predicted)}); matrix.paintNow()")
    shown.tab.value("matrix.listUtterances(0, 0)")  # something else, for the click to change
    shown.click_cell(true, predicted)
    assert shown.said("#matrix-utterances") == utterances_of(shown.in_scope, true, predicted)
    assert tab.complaints == []


def colours(shown: Shown, true: str, predicted: str) -> list[int]:
    """What the canvas shows near the corner of a cell, in red, green, blue."""
    label = list(shown.content.per_intent.index).index
    script = (
        f"matrix.paintNow(); [...matrix.brush.getImageData("
        f"matrix.x(matrix.columns.indexOf({label(predicted)})) + 3,"
        f"matrix.y(matrix.rows.indexOf({label(true)})) + 3, 1, 1).data].slice(0, 3)"
    )
    found: list[int] = shown.tab.value(script)
    return found


def test_cells_are_blue_where_right_and_red_where_wrong_and_empty_elsewhere(shown: Shown):
    shown.tab.value("matrix.selected = null")
    rows = shown.in_scope
    empty = next(
        (true, predicted)
        for true in shown.content.per_intent.index
        for predicted in shown.content.per_intent.index
        if not utterances_of(rows, true, predicted)
    )
    red, _, blue = colours(shown, "意图 3", "意图 3")
    assert blue > red + 60
    red, _, blue = colours(shown, *fullest_mistake(rows))
    assert red > blue + 30
    assert np.ptp(colours(shown, *empty)) < 15


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_text_is_shown_and_does_nothing(tab: Browser, tmp_path: Path, text: str):
    rows: list[tuple[Any, ...]] = [
        (text, text, "b", 0.9, -9.0, ""),
        (text, "b", text, 0.8, -9.0, ""),
        ("out", "", text, 0.9, -9.0, text),
    ]
    shown = Shown(
        tab,
        tmp_path / "report.html",
        content_of(
            rows,
            title=text,
            facts={text: text},
            verdict=text,
            unknown_intent=text,
            findings=[DataNote("high", text, pd.DataFrame({text: [text]}))],
            kinds=pd.DataFrame({"auroc": [0.5]}, index=pd.Index([text], name="kind")),
            scores=pd.DataFrame({"auroc": [0.5]}, index=pd.Index(["energy"], name=text)),
        ),
    )
    shown.click_cell(text, "b")
    assert shown.said("#matrix-utterances") == [text]
    assert text in shown.texts("#findings td")
    assert tab.value("window.hacked") is None
    assert tab.value("document.querySelectorAll('img, iframe, [onload], [onerror]').length") == 0
    assert tab.value("document.scripts.length") == 2
    assert tab.complaints == []
    assert tab.requests == [shown.path.as_uri()]


def test_nothing_out_of_scope_and_one_row_of_each_class_are_shown(tab: Browser, tmp_path: Path):
    rows = [(f"text {name}", name, "a", 0.5, -5.0, "") for name in "abc"]
    shown = Shown(tab, tmp_path / "report.html", content_of(rows))
    assert tab.complaints == []
    assert shown.counts() == {"in-scope": (3, 0)}
    assert "No out-of-scope utterance was tested." in shown.text("#coverage")
    shown.click_cell("c", "a")
    assert shown.said("#matrix-utterances") == ["text c"]


def test_page_works_in_the_sandboxed_frame_in_which_mlflow_shows_it(tab: Browser, tmp_path: Path):
    made = page(content_of(many_rows()))
    frame = tmp_path / "frame.html"
    # MLflow's artifact view: a blob in an iframe that may run scripts and nothing else.
    frame.write_text(
        "<!doctype html><iframe sandbox='allow-scripts' width=1000 height=800></iframe><script>"
        f"const text = new TextDecoder().decode(Uint8Array.from(atob('{_base64(made)}'), (c) => c.charCodeAt(0)));"
        "document.querySelector('iframe').src = URL.createObjectURL(new Blob([text], { type: 'text/html' }));"
        "document.documentElement.dataset.ready = 0;</script>",
        encoding="utf-8",
    )
    tab.resize(1200, 900)
    tab.complaints.clear()
    tab.open(frame)
    with tab.frame() as inside:
        inside.wait_for("document.documentElement?.dataset.ready !== undefined")
        assert inside.value("self.origin") == "null"
        assert inside.value("document.querySelectorAll('#intents-table tbody tr').length") == 8
        inside.wait_for("document.querySelectorAll('#reliability rect').length > 10")
        inside.value("document.documentElement.style.scrollBehavior = 'auto'")
        inside.value("document.querySelector('nav a[href=\"#calibration\"]').click()")
        assert abs(inside.value("document.getElementById('calibration').getBoundingClientRect().top")) < 100
    assert tab.complaints == []


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
