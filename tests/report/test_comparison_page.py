"""What a comparison says: the verdict in a line, the console's table, JSON, and a page that stands alone."""

import json
import re
from html.parser import HTMLParser

import pytest

from intents.evaluation.comparison.paired import Comparison, compare
from intents.evaluation.comparison.sides import Latency
from intents.report import comparison, comparison_page
from tests.evaluation.comparison.answers import random_sides, side

HOSTILE = "<script>alert('好')</script>&\"'"


class Reader(HTMLParser):
    """The tags that were opened and closed, in order, the attributes, and the text between."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.attributes: dict[str, str | None] = {}
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes.update(attrs)
        if tag not in ("meta", "line", "circle"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("line", "circle"):
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def found() -> Comparison:
    old, new = random_sides(900, 200, right=(0.7, 0.85), seed=0)
    return compare(old, new)


@pytest.fixture(scope="module")
def hostile() -> Comparison:
    """Every text that a user can choose is a script: names, intents, utterances; and an intent that one model has."""
    true = [HOSTILE, HOSTILE, "z", "c"] * 20
    old = side(f"old{HOSTILE}", true, ["c", HOSTILE, "c", "c"] * 20, intents=(HOSTILE, "c"))
    new = side(
        f"new{HOSTILE}", true, [HOSTILE, "c", "z", "c"] * 20, intents=(HOSTILE, "c", "z", f"z{HOSTILE}")
    )
    for made in (old, new):
        made.predictions["text"] = HOSTILE
    return compare(old, new, resamples=200)


def test_the_verdict_says_how_much_with_what_certainty_and_what_to_do(found: Comparison):
    change = found.changes["f1_weighted"]
    line = comparison.verdict_line(found)
    assert line.startswith(f"new against old: better: weighted F1 +{change.change * 100:.2f} points [+")
    assert f"{found.fixed_rows} rows fixed and {found.broken_rows} broken (McNemar p = " in line
    assert line.endswith("; prefer new; but look at what else changed: calibration error is worse")


def test_the_verdict_warns_of_what_got_worse_beside_it():
    true = ["a"] * 200 + [""] * 200
    ends, vague = [-1.0] * 200 + [2.0] * 200, [-1.0, 2.0] * 200
    old = side("old", true, ["b"] * 100 + ["a"] * 300, columns={"energy": ends})
    new = side("new", true, ["a"] * 400, columns={"energy": vague})
    line = comparison.verdict_line(compare(old, new, resamples=200))
    assert "better: weighted F1" in line
    assert line.endswith("but look at what else changed: AUROC is worse, FPR@95TPR is worse")


def test_the_console_shows_rows_metrics_costs_intents_and_utterances():
    old, new = random_sides(900, 200, right=(0.7, 0.85), seed=0)
    old = side("old", *columns(old), latency=Latency(2.0, 5.0), size=2_000_000)
    new = side("new", *columns(new), latency=Latency(3.0, 4.0), size=1_000_000)
    found = compare(old, new)
    lines = comparison.text(found).splitlines()
    assert lines[0] == "new against old"
    assert lines[1].startswith("rows: 900 in-scope and 200 out-of-scope, the same for both; left out: 0 ")
    assert lines[2].startswith("note: old does not say what it was trained on")
    assert "95 % interval" in lines[4]
    accuracy = found.changes["accuracy"]
    assert lines[7].split() == [
        "accuracy",
        f"{accuracy.reference:.4f}",
        f"{accuracy.candidate:.4f}",
        f"{accuracy.change:+.4f}",
        f"[{accuracy.low:+.4f},",
        f"{accuracy.high:+.4f}]",
        "better",
    ]
    text = "\n".join(lines)
    assert "p50 ms" in text
    assert "1.50x" in text
    assert "size MB                 2.00       1.00     0.50x" in text
    assert f"newly broken: {found.broken_rows}, the most confidently wrong first" in text
    assert lines[-1] == comparison.verdict_line(found)


def columns(made: object) -> tuple[list[str], list[str]]:
    return list(made.predictions["true_intent"]), list(made.predictions["pred_intent"])


def test_json_has_all_of_it_and_no_nan(found: Comparison):
    true = ["a"] * 5
    few = compare(side("old", true, ["b"] * 5), side("new", true, true), resamples=200)
    content = json.loads(json.dumps(comparison.as_json(few), allow_nan=False))
    assert content["per_intent"][0]["intent"] == "a"
    assert content["per_intent"][0]["f1_p"] is None
    assert [row["text"] for row in content["fixed"]] == [f"utterance {number}" for number in range(5)]
    assert content["latency_ratio"] is None
    whole = json.loads(json.dumps(comparison.as_json(found), allow_nan=False))
    assert whole["verdict"] == "better"
    assert whole["changes"]["auroc"]["low"] == found.changes["auroc"].low
    assert whole["rows"] == 900
    assert len(whole["broken"]) == found.broken_rows


def test_no_text_of_a_users_becomes_markup(hostile: Comparison):
    read = Reader(comparison_page.page([hostile]))
    assert read.open == []
    assert "script" not in read.tags
    assert HOSTILE in read.text
    assert {"td", "svg", "circle"} <= set(read.tags)
    assert not any(name.startswith("on") or name in ("src", "href") for name in read.attributes)


def test_the_page_asks_the_network_for_nothing(found: Comparison):
    text = comparison_page.page([found, found])
    assert "://" not in text
    assert "url(" not in text
    assert "content=\"default-src 'none'; style-src 'unsafe-inline'\"" in text
    assert text.count("<h2>new</h2>") == 2
    assert text.count("<svg") == 2
    assert comparison.verdict_line(found).split(";")[0] in Reader(text).text


def test_the_plot_puts_more_to_the_right_and_colours_what_is_certain(found: Comparison):
    lines = re.findall(r'<line class="(\w+)" x1="([\d.]+)" x2="([\d.]+)"', comparison_page.page([found]))
    assert len(lines) == len(found.changes) + 1
    (_, middle, _), *drawn = [(css, float(low), float(high)) for css, low, high in lines]
    for change, (css, low, high) in zip(comparison.in_words(found).values(), drawn, strict=True):
        assert css == (change.verdict if change.verdict in ("better", "worse") else "same")
        assert (low > middle) == (change.low > 0)
        assert (high > middle) == (change.high > 0)
    certain = sum(change.verdict == "better" for change in found.changes.values())
    assert certain >= 3
    assert [css for css, *_ in drawn].count("better") == certain


def test_equal_answers_can_be_drawn_and_said_too():
    old, _ = random_sides(100, 20, right=(0.7, 0.7), seed=2)
    found = compare(old, old, resamples=200)
    assert "newly broken: 0" in comparison.text(found)
    assert comparison.verdict_line(found).endswith("; choose by latency and size")
    assert "nan" not in comparison_page.page([found])
