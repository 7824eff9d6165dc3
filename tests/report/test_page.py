"""What report.html counts, advises and carries; that no text gets out of where it is shown. Expected numbers are
counted by hand, by pandas or by scikit-learn. What a browser makes of the page: test_report_page_browser.py.
"""

import base64
import dataclasses
import hashlib
import json
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import confusion_matrix, f1_score, precision_recall_fscore_support, precision_score

from intents.report.page import advice, carried, counts
from intents.report.page.content import DataNote, ReportContent
from intents.report.page.page import headlines, page

THRESHOLD = -4.0
COLUMNS = ["text", "true_intent", "pred_intent", "confidence", "energy", "kind"]
ROWS = [
    ("你好", "问候", "问候", 0.95, -9.0, ""),
    ("早上好", "问候", "问候", 0.75, -6.0, ""),
    ("在吗", "问候", "询问", 0.85, -5.0, ""),
    ("几点了", "询问", "询问", 0.65, -4.0, ""),
    ("什么时候", "询问", "询问", 0.55, -3.5, ""),
    ("哪天", "询问", "问候", 0.45, -3.0, ""),
    ("哪一天", "询问", "问候", 0.35, -2.0, ""),
    ("再见", "道别", "道别", 0.99, -8.0, ""),
    ("天气不错", "", "问候", 0.90, -7.0, "near"),
    ("abc", "", "询问", 0.30, -1.0, "far"),
    ("def", "", "道别", 0.62, -3.9, "far"),
]
"""Eight in-scope rows, three of them predicted wrongly, and three out-of-scope ones."""

HOSTILE = [
    "</script><script>window.hacked = 1</script>",
    "<img src=x onerror='window.hacked = 2'>",
    "<!-- <script>",
    "]]>&lt;b&gt;&amp;\u2028\u2029\x00\x1b",
    '"><svg onload="window.hacked = 3">',
    "{{ 7 * 7 }}{% raw %}",
    "javascript:window.hacked=4",
]


def predictions_of(rows: list[tuple[Any, ...]], threshold: float = THRESHOLD) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=COLUMNS)
    return table.assign(in_scope=table["energy"] <= threshold)


def content_of(rows: list[tuple[Any, ...]] = ROWS, **changes: Any) -> ReportContent:
    """A content of these rows whose per-intent table is scikit-learn's; its metrics are healthy, whatever the rows."""
    predictions = predictions_of(rows, changes.get("threshold", THRESHOLD))
    in_scope = predictions[predictions["true_intent"] != ""]
    intents = changes.pop("intents", None) or sorted({*in_scope["true_intent"], *in_scope["pred_intent"]})
    measured = precision_recall_fscore_support(
        in_scope["true_intent"], in_scope["pred_intent"], labels=intents, zero_division=0.0
    )
    table = dict(zip(["precision", "recall", "f1-score", "support"], measured, strict=True))
    metrics = {"ece": 0.01, "brier": 0.1, "nll": 0.2, "osr_recall": 0.95, "accepted_accuracy": 0.98}
    metrics |= dict.fromkeys(("accuracy", "f1_weighted", "f1_macro"), 0.95)
    for name, value in list(metrics.items()):
        metrics |= {f"{name}_ci_low": value - 0.01, f"{name}_ci_high": value + 0.01}
    given = {
        "title": "textcnn on chat_zh",
        "facts": {"corpus": "chat_zh"},
        "metrics": metrics,
        "per_intent": pd.DataFrame(table, index=pd.Index(intents, name="intent")),
        "predictions": predictions,
        "threshold": THRESHOLD,
        "unknown_intent": "Unknown",
    }
    return ReportContent(**{**given, **changes})


def many_rows(*, in_scope: int = 400, out_of_scope: int = 100, intents: int = 8, seed: int = 0) -> list[Any]:
    """Predictions of a made-up model that is right about four times in five, and rejects with some success."""
    generator = np.random.default_rng(seed)
    names = [f"意图 {number}" for number in range(intents)]
    rows = []
    for number in range(in_scope + out_of_scope):
        is_labelled = number < in_scope
        true = generator.integers(intents)
        predicted = true if generator.random() < 0.8 else generator.integers(intents)
        energy = generator.normal(-7 if is_labelled else -3, 1.5)
        named = (names[true], names[predicted]) if is_labelled else ("", names[predicted])
        kind = "" if is_labelled else ("near", "far")[number % 2]
        rows.append((f"第 {number} 句", *named, generator.uniform(0.3, 1), energy, kind))
    return rows


class Elements(HTMLParser):
    """Every element of a page with its attributes, and the text of each script element."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.is_in_script = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")
            self.is_in_script = True

    def handle_endtag(self, tag: str) -> None:
        self.is_in_script = self.is_in_script and tag != "script"

    def handle_data(self, data: str) -> None:
        if self.is_in_script:
            self.scripts[-1] += data


def data_of(content: ReportContent) -> dict[str, Any]:
    """What the page's script would read."""
    data: dict[str, Any] = json.loads(Elements(page(content)).scripts[0])
    return data


def as_table(columns: dict[str, list[Any]]) -> pd.DataFrame:
    return pd.DataFrame(columns)


def as_matrix(cells: dict[str, list[int]], size: int) -> np.ndarray:
    matrix = np.zeros((size, size), dtype=int)
    matrix[cells["true"], cells["predicted"]] = cells["rows"]
    return matrix


def advised(content: ReportContent) -> list[str]:
    return [one.text for one in advice.advise(content)]


def test_confusions_are_those_of_scikit_learn():
    content = content_of(many_rows())
    rows = content.predictions[content.predictions["true_intent"] != ""]
    expected = confusion_matrix(rows["true_intent"], rows["pred_intent"], labels=content.per_intent.index)
    data = data_of(content)
    assert (as_matrix(data["confusion"], 8) == expected).all()
    assert expected.sum() == data["rows"]["in_scope"] == 400


def test_confusions_after_rejection_have_the_rejected_in_a_column_and_the_out_of_scope_in_a_row():
    data = data_of(content_of())
    greeting, asking, leaving = (data["intents"].index(name) for name in ("问候", "询问", "道别"))
    outside = len(data["intents"])
    cells = dict(zip(zip(data["confusion_with_rejection"]["true"], data["confusion_with_rejection"]["predicted"],
                         strict=True), data["confusion_with_rejection"]["rows"], strict=True))  # fmt: skip
    assert cells == {
        (greeting, greeting): 2,
        (greeting, asking): 1,
        (asking, asking): 1,  # accepted at an energy that equals the threshold
        (asking, outside): 3,
        (leaving, leaving): 1,
        (outside, greeting): 1,
        (outside, outside): 2,
    }


def test_every_threshold_of_the_slider_counts_as_scikit_learn_does():
    content = content_of(many_rows())
    predictions = content.predictions
    is_in_scope = predictions["true_intent"] != ""
    steps = as_table(data_of(content)["sweep"])
    assert len(steps) > 200
    assert steps["threshold"].is_monotonic_increasing
    for step in steps.iloc[::20].to_dict("records"):
        accepted = predictions["energy"] <= step["threshold"]
        right = predictions["true_intent"] == predictions["pred_intent"]
        assert step["accepted"] == (accepted & is_in_scope).sum()
        assert step["accepted_right"] == (accepted & right).sum()
        assert step["wrongly_accepted"] == (accepted & ~is_in_scope).sum()
        if accepted.any():
            assert step["precision"] == pytest.approx(precision_score(is_in_scope, accepted), abs=1e-6)
        assert step["f1"] == pytest.approx(f1_score(is_in_scope, accepted), abs=1e-6)


def test_the_models_own_threshold_is_a_step_of_the_slider_to_the_last_digit():
    own = -4.123456789012345
    data = data_of(content_of(many_rows(), threshold=own))
    assert own in data["sweep"]["threshold"]
    assert data["threshold"] == own


@pytest.mark.parametrize("threshold", [-100.0, 50.0])
def test_a_threshold_beyond_every_energy_is_still_drawn(threshold: float):
    data = data_of(content_of(threshold=threshold))
    assert data["histogram"]["low"][0] < threshold < data["histogram"]["high"][-1]
    step = data["sweep"]["threshold"].index(threshold)
    assert data["sweep"]["accepted"][step] == (8 if threshold > 0 else 0)


def test_histogram_counts_every_row_once_strays_too():
    rows = [*many_rows(), ("far away", "意图 0", "意图 0", 0.9, -1e6, "")]
    data = data_of(content_of(rows))
    assert sum(data["histogram"]["in_scope"]) == 401
    assert sum(data["histogram"]["out_of_scope"]) == 100
    assert data["histogram"]["low"][0] > -50


def test_reliability_of_each_bin_is_that_of_its_rows():
    data = data_of(content_of())
    bins = as_table(data["reliability"])
    assert bins["rows"].sum() == 8  # the out-of-scope rows have no right answer
    last = bins.iloc[-1]  # above 14/15: 0.95 and 0.99, both right
    assert (last["rows"], last["confidence"], last["accuracy"]) == (2, pytest.approx(0.97), 1.0)
    wrong = bins[(bins["low"] < 0.85) & (bins["high"] >= 0.85)].iloc[0]
    assert (wrong["rows"], wrong["accuracy"]) == (1, 0.0)


def test_service_table_says_what_acting_from_each_confidence_does():
    service = as_table(data_of(content_of())["service"]).set_index(["rule", "threshold"])
    # In-scope above 0.6: 0.95, 0.75, 0.85 (wrong), 0.65, 0.99; out-of-scope: 0.90 and 0.62.
    alone = service.loc[("confidence", 0.6)]
    assert alone["in_scope_acts"] == pytest.approx(5 / 8)
    assert alone["in_scope_wrong"] == 1
    assert alone["out_of_scope_acts"] == pytest.approx(2 / 3, abs=1e-6)
    assert alone["wrong"] == pytest.approx(3 / 7, abs=1e-6)
    # 0.62 has an energy above the threshold.
    both = service.loc[("confidence and energy", 0.6)]
    assert both["out_of_scope_acts"] == pytest.approx(1 / 3, abs=1e-6)
    assert both["wrong"] == pytest.approx(2 / 6, abs=1e-6)
    assert service.loc[("confidence", 0.8), "in_scope_acts"] == pytest.approx(3 / 8)
    assert len(service) == 6


def test_per_intent_table_adds_what_an_intent_is_mistaken_for_and_how_much_of_it_is_rejected():
    data = data_of(content_of(train_rows={"问候": 30, "询问": 7}))
    table = as_table(data["per_intent"]).set_index(pd.Index(data["intents"]))
    assert data["intents"][table.loc["询问", "mistaken_for"]] == "问候"
    assert table.loc["询问", "mistaken"] == 2
    assert table.loc["道别", "mistaken_for"] == -1
    assert table["rejected"].to_dict() == {"问候": 0.0, "询问": 0.75, "道别": 0.0}
    assert table["train_rows"].to_dict() == {"问候": 30, "询问": 7, "道别": 0}
    assert table.loc["询问", "recall"] == pytest.approx(0.5)


def test_intent_without_a_test_row_has_no_share_of_rejected_rows():
    data = data_of(content_of(intents=["没有", "询问", "道别", "问候"]))
    place = data["intents"].index("没有")
    assert data["per_intent"]["support"][place] == 0
    assert data["per_intent"]["rejected"][place] is None


def test_one_row_of_each_class_and_nothing_out_of_scope_makes_a_page():
    rows = [(f"text {name}", name, "a", 0.5, -5.0, "") for name in "abc"]
    data = data_of(content_of(rows))
    assert as_matrix(data["confusion"], 3).tolist() == [[1, 0, 0], [1, 0, 0], [1, 0, 0]]
    assert data["rows"] == {"in_scope": 3, "out_of_scope": 0, "carried": 3}
    assert "precision" not in data["sweep"]
    assert "out_of_scope_acts" not in data["service"]
    assert set(data["sweep"]["wrongly_accepted"]) == {0}
    assert sum(data["histogram"]["out_of_scope"]) == 0


def test_two_intents_that_are_never_confused_make_a_page_without_mistakes():
    rows = [("x", "a", "a", 1.0, -9.0, ""), ("y", "b", "b", 1.0, -9.0, "")]
    data = data_of(content_of(rows))
    assert data["per_intent"]["mistaken_for"] == [-1, -1]
    assert data["neighbours"] == [0, 1]


def test_confused_pairs_are_counted_both_ways():
    confusion = pd.DataFrame({"true": [0, 0, 1, 1, 2], "predicted": [0, 1, 0, 1, 1], "rows": [9, 2, 3, 9, 4]})
    assert counts.confused_pairs(confusion).values.tolist() == [[0, 1, 5], [1, 2, 4]]


def test_confused_intents_stand_side_by_side():
    confusion = pd.DataFrame({"true": [0, 3, 1, 4, 2], "predicted": [3, 0, 4, 1, 2], "rows": [5, 5, 5, 5, 5]})
    order = counts.neighbours_order(confusion, number_of_intents=5)
    assert sorted(order) == [0, 1, 2, 3, 4]
    assert abs(order.index(0) - order.index(3)) == abs(order.index(1) - order.index(4)) == 1


def test_page_carries_every_utterance_as_it_is():
    content = content_of()
    utterances = data_of(content)["utterances"]
    assert utterances["text"] == content.predictions["text"].tolist()
    assert utterances["energy"] == content.predictions["energy"].tolist()
    intents = [*content.per_intent.index, ""]
    assert [intents[label] for label in utterances["true"]] == content.predictions["true_intent"].tolist()
    assert [intents[label] for label in utterances["predicted"]] == content.predictions[
        "pred_intent"
    ].tolist()


def test_energies_are_carried_whole_so_that_none_changes_sides():
    energy = -4.000000000000001
    rows = [("just accepted", "a", "a", 0.9, energy, ""), ("b", "b", "b", 0.9, -9.0, "")]
    assert data_of(content_of(rows))["utterances"]["energy"][0] == energy < THRESHOLD


def test_of_too_many_utterances_the_mistakes_and_those_nearest_the_threshold_stay(monkeypatch):
    monkeypatch.setattr(carried, "MOST_UTTERANCES", 8)
    content = content_of()
    data = data_of(content)
    # Wrong intent: 在吗 哪天 哪一天; wrongly rejected: 什么时候 (and two of those); wrongly accepted: 天气不错.
    mistakes = {"在吗", "什么时候", "哪天", "哪一天", "天气不错"}
    nearest = {"几点了", "def", "早上好"}
    assert set(data["utterances"]["text"]) == mistakes | nearest
    assert data["rows"]["carried"] == 8
    assert sum(data["confusion"]["rows"]) == 8  # all in-scope rows, though not all are carried
    whole = content.predictions["text"].tolist()
    assert data["utterances"]["text"] == [text for text in whole if text in mistakes | nearest]


def test_long_texts_are_cut_and_all_of_them_together_bounded(monkeypatch):
    monkeypatch.setattr(carried, "MOST_CHARACTERS", 1000)
    rows = [(f"{number}" * 2000, "a", "a", 0.9, -9.0, "") for number in range(5)]
    texts = data_of(content_of([*rows, ("b", "b", "b", 0.9, -9.0, "")]))["utterances"]["text"]
    assert texts[0] == "0" * 299 + "…"
    assert len(texts) == 3


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_leaves_the_data_or_changes_in_it(text: str):
    rows = [
        (text, text, "b", 0.9, -9.0, ""),
        (text, "b", text, 0.9, -9.0, ""),
        ("x", "", "b", 0.9, -1.0, text),
    ]
    content = content_of(
        rows,
        title=text,
        facts={text: text},
        verdict=text,
        unknown_intent=text,
        findings=[DataNote(text, text, pd.DataFrame({text: [text]}))],
        kinds=pd.DataFrame({"auroc": [0.5]}, index=pd.Index([text], name="kind")),
        scores=pd.DataFrame({"auroc": [0.5, 0.9]}, index=pd.Index(["energy", text], name="score")),
    )
    made, plain = page(content), page(content_of())
    made.encode("utf-8")
    harmless, parsed = Elements(plain), Elements(made)
    shown_only_here = [element for element in parsed.found if element not in harmless.found]
    assert {tag for tag, _ in shown_only_here} <= {
        "p",
        "div",
        "dt",
        "dd",
    }  # the verdict; one scale per headline
    assert not any(name.startswith("on") for _, attributes in parsed.found for name in attributes)
    assert len(parsed.scripts) == 2
    assert parsed.scripts[1] == harmless.scripts[1]
    data = json.loads(parsed.scripts[0])
    assert data["utterances"]["text"][:2] == [text, text]
    assert data["findings"][0]["examples"] == {"columns": [text], "rows": [[text]]}
    assert text in data["intents"]
    assert data["unknown"] == text
    raw = made.split('id="report-data">')[1].split("</script>")[0]
    assert not set(raw) & set("<>&\u2028\u2029")


def test_half_a_character_is_carried_and_written():
    half = "\ud800 alone, 😀 whole"
    text = carried.script_json([half])
    assert json.loads(text.encode("utf-8")) == [half]
    assert "? alone, 😀 whole</title>" in page(content_of(title=half)).encode("utf-8").decode("utf-8")


def test_page_refers_to_nothing_outside_itself():
    made = page(content_of(many_rows()))
    elements = Elements(made).found
    assert not {tag for tag, _ in elements} & {"link", "img", "iframe", "object", "embed", "base", "source"}
    for _, attributes in elements:
        assert not attributes.keys() & {"src", "srcset", "action", "data"}
        assert (attributes.get("href") or "#").startswith("#")
    assert made.replace("http://www.w3.org/2000/svg", "").count("://") == 0
    assert "url(" not in made
    assert "@import" not in made


def test_policy_lets_no_script_run_but_the_pages_own():
    parsed = Elements(page(content_of()))
    (policy,) = (
        attributes["content"]
        for tag, attributes in parsed.found
        if attributes.get("http-equiv") and tag == "meta"
    )
    digest = base64.b64encode(hashlib.sha256(parsed.scripts[1].encode()).digest()).decode()
    assert policy is not None
    assert "default-src 'none'" in policy
    assert f"script-src 'sha256-{digest}'" in policy


def test_scripts_never_write_html():
    script = Elements(page(content_of())).scripts[1]
    for way in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "Function(",
        "fetch(",
    ):
        assert way not in script


def test_the_same_content_makes_the_same_page():
    assert page(content_of(many_rows())) == page(content_of(many_rows()))


def test_a_page_of_150_intents_and_5500_rows_is_under_5_megabytes():
    rows = many_rows(in_scope=4500, out_of_scope=1000, intents=150)
    content = content_of([(f"{row[0]}，这是一句长度跟真实语料差不多的中文", *row[1:]) for row in rows])
    made = page(content)
    assert len(made.encode()) < 5_000_000
    assert len(content.per_intent) == 150
    assert json.loads(Elements(made).scripts[0])["rows"]["carried"] == 5500


def test_what_was_set_aside_of_the_corpus_stands_with_the_data():
    said = page(content_of(notes=["set aside, 8 rows of 1 intents ('<b>' 8): on the blacklist"]))
    data = said[said.index('<section id="data">') :]
    assert "set aside, 8 rows of 1 intents (&#39;&lt;b&gt;&#39; 8): on the blacklist" in data


def test_headline_stands_next_to_its_interval_and_its_baseline():
    content = content_of(baseline={"baseline_f1_weighted": 0.9, "baseline_accuracy": 0.955})
    found = {headline.name: headline for headline in headlines(content)}
    weighted = found["Weighted F1"]
    assert weighted.value == "95.0%"
    assert weighted.interval == "95% interval 94.0% to 96.0%"
    assert weighted.baseline == "baseline 90.0% (+5.0 points)"
    assert found["Accuracy"].baseline == "baseline 95.5% (-0.5 points)"
    assert found["Macro F1"].baseline == ""
    assert weighted.scale is not None
    assert (weighted.scale.start, weighted.scale.value, weighted.scale.baseline) == (0.9, 50.0, 0.0)
    assert (weighted.scale.low, weighted.scale.high) == (40.0, 60.0)
    made = page(content)
    for text in ("95.0%", "95% interval 94.0% to 96.0%", "baseline 90.0% (+5.0 points)"):
        assert text in made


def test_headline_of_what_was_not_measured_is_left_out():
    names = [headline.name for headline in headlines(content_of())]
    assert "AUROC" not in names
    assert "Calibration error" in names


def test_calibration_before_the_temperature_is_shown_where_it_was_measured():
    content = content_of()
    assert [row["before"] for row in data_of(content)["calibration"]] == [None, None, None]
    measured = dataclasses.replace(content, metrics={**content.metrics, "ece_before": 0.2})
    assert data_of(measured)["calibration"][0] == {
        "name": "expected calibration error",
        "before": 0.2,
        "after": 0.01,
    }


def healthy_rows() -> list[tuple[Any, ...]]:
    """Rows in which no rule finds anything: 40 of each of two intents, all right, and 20 out-of-scope rejected."""
    rows = [(f"{name} {number}", name, name, 0.95, -9.0, "") for name in "ab" for number in range(40)]
    return [*rows, *((f"out {number}", "", "a", 0.3, -1.0, "far") for number in range(20))]


HEALTHY = {"baseline": {"baseline_f1_weighted": 0.5}, "train_rows": {"a": 100, "b": 100}}


def test_a_healthy_model_needs_nothing():
    assert advised(content_of(healthy_rows(), **HEALTHY)) == []


def with_metrics(**metrics: float) -> ReportContent:
    content = content_of(healthy_rows(), **HEALTHY)
    return dataclasses.replace(content, metrics={**content.metrics, **metrics})


def healthy_but(**changes: Any) -> ReportContent:
    return content_of(healthy_rows(), **{**HEALTHY, **changes})


def rows_with(*, count: int, **changes: Any) -> ReportContent:
    """The healthy rows, the first so many of which are changed."""
    table = pd.DataFrame(healthy_rows(), columns=COLUMNS)
    for name, value in changes.items():
        table.loc[: count - 1, name] = value
    return content_of(list(table.itertuples(index=False, name=None)), **HEALTHY)


def of_out_of_scope(**changes: Any) -> ReportContent:
    table = pd.DataFrame(healthy_rows(), columns=COLUMNS)
    table.loc[table["true_intent"] == "", list(changes)] = list(changes.values())
    return content_of(list(table.itertuples(index=False, name=None)), **HEALTHY)


ADVICE = {
    "baseline not beaten": (
        lambda: healthy_but(baseline={"baseline_f1_weighted": 0.95}),
        advice.BLOCKER,
        "not beaten: weighted F1 95.0%, the baseline's is 95.0%",
    ),
    "baseline in the interval": (
        lambda: healthy_but(baseline={"baseline_f1_weighted": 0.945}),
        advice.IMPROVE,
        "may be chance",
    ),
    "calibration": (lambda: with_metrics(ece=0.08), advice.BLOCKER, "off by 8.0% on average"),
    "wide interval": (lambda: with_metrics(f1_weighted_ci_low=0.9), advice.NOTE, "6.0 points wide"),
    "too much rejected": (
        lambda: rows_with(count=20, energy=-2.0),
        advice.BLOCKER,
        "rejects 25.0% of in-scope utterances (at most 10% is hoped for); 100.0% of those had the right intent. "
        "A threshold of -1.",
    ),
    "too much accepted": (
        lambda: of_out_of_scope(energy=-8.0),
        advice.BLOCKER,
        "100.0% of out-of-scope utterances are accepted",
    ),
    "confidence acts on out-of-scope": (
        lambda: of_out_of_scope(confidence=0.9),
        advice.IMPROVE,
        "acts on 100.0% of out-of-scope utterances, even from 0.8 on; one that rejects by energy, too, on 0.0%",
    ),
    "confidently wrong": (
        lambda: rows_with(count=8, pred_intent="b"),
        advice.IMPROVE,
        "from a confidence of 0.8 on, 10.0% of the in-scope utterances acted on are wrong",
    ),
    "confused": (
        lambda: rows_with(count=4, pred_intent="b"),
        advice.IMPROVE,
        "“a” and “b” are taken for each other in 4 of their 80 test rows",
    ),
    "poor": (
        lambda: rows_with(count=36, pred_intent="b"),
        advice.IMPROVE,
        "2 intents have an F1 under 70%: “a”, “b”",
    ),
    "rare": (
        lambda: healthy_but(train_rows={"a": 100, "b": 19}),
        advice.IMPROVE,
        "1 intent has fewer than 20 training rows: “b”",
    ),
    "untested": (
        lambda: healthy_but(intents=["a", "b", "c"], train_rows={}),
        advice.NOTE,
        "1 intent has fewer than 5 test rows, so that their figures say little: “c”",
    ),
    "nothing out-of-scope": (
        lambda: content_of(healthy_rows()[:80], **HEALTHY),
        advice.IMPROVE,
        "Nothing out-of-scope was tested",
    ),
    "another score": (
        lambda: healthy_but(scores=pd.DataFrame({"auroc": [0.95, 0.9]}, index=["max_logit", "energy"])),
        advice.NOTE,
        "max_logit tells out-of-scope better than energy does: AUROC 0.950 against 0.900",
    ),
    "severe finding": (
        lambda: healthy_but(findings=[DataNote("low", "dust"), DataNote("high", "12 conflicts")]),
        advice.IMPROVE,
        "The data: 12 conflicts",
    ),
}


@pytest.mark.parametrize(("make", "urgency", "text"), ADVICE.values(), ids=ADVICE)
def test_each_rule_advises_when_its_number_is_bad(make, urgency: str, text: str):
    matching = [one for one in advice.advise(make()) if text in one.text]
    assert [one.urgency for one in matching] == [urgency]


def test_advice_comes_the_most_urgent_first_and_leads_to_a_section_of_the_page():
    content = dataclasses.replace(
        rows_with(count=36, pred_intent="b"), baseline={"baseline_f1_weighted": 0.99}
    )
    found = advice.advise(content)
    assert found[0].urgency == advice.BLOCKER
    places = [advice.URGENCY.index(one.urgency) for one in found]
    assert places == sorted(places)
    ids = {attributes.get("id") for _, attributes in Elements(page(content)).found}
    for make, _, _ in ADVICE.values():
        assert {one.section for one in advice.advise(make())} <= ids


def test_advice_on_a_pair_leads_to_its_fuller_cell():
    (confused,) = [one for one in advice.advise(rows_with(count=4, pred_intent="b")) if one.pair]
    assert confused.pair == (0, 1)


def test_findings_carry_their_first_examples_and_say_how_many_are_left_out():
    examples = pd.DataFrame({"text": [f"row {number}" for number in range(25)], "rows": range(25)})
    examples["share"] = [float("nan"), *[0.5] * 24]
    (finding,) = data_of(content_of(findings=[DataNote("high", "25 rows", examples)]))["findings"]
    assert finding["examples"]["columns"] == ["text", "rows", "share"]
    assert finding["examples"]["rows"][:2] == [["row 0", 0, None], ["row 1", 1, 0.5]]
    assert len(finding["examples"]["rows"]) == 20
    assert finding["hidden"] == 5
