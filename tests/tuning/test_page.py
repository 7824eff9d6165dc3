"""The page, the table and the best values of a study."""

import json
import re
from pathlib import Path

import optuna
import pandas as pd
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState, create_trial

from intents.tuning import page, trials

SPACE = {"rate": FloatDistribution(0.0, 1.0), "widths": CategoricalDistribution(("1,2", "2,3"))}


def a_study(complete: int, direction: str = "maximize") -> optuna.Study:
    study = optuna.create_study(direction=direction, study_name="电话 <intents>")
    for number in range(complete):
        values = {"rate": number / 10, "widths": ("1,2", "2,3")[number % 2]}
        reports = {1: 0.1, 2: 0.1 * number}
        trial = create_trial(
            params=values, distributions=SPACE, value=0.1 * number, intermediate_values=reports
        )
        study.add_trial(trial)
    failed = {trials.FAILURE: "MemoryError: too much"}
    study.add_trial(create_trial(state=TrialState.FAIL, user_attrs=failed))
    study.add_trial(create_trial(state=TrialState.PRUNED, intermediate_values={1: 9.0}))
    cut_off = {trials.CUT_OFF: trials.DIED}
    study.add_trial(create_trial(state=TrialState.FAIL, user_attrs=cut_off))
    return study


@pytest.mark.parametrize(("direction", "number"), [("maximize", 4), ("minimize", 0)])
def test_the_best_is_the_complete_trial_with_the_best_value(direction: str, number: int):
    found = page.best(a_study(5, direction))
    assert found is not None
    assert found.number == number


def test_there_is_no_best_where_nothing_is_complete():
    assert page.best(a_study(0)) is None


def test_the_table_has_a_row_for_every_trial_that_counts(tmp_path: Path):
    page.write(a_study(3), tmp_path, metric="val_f1_weighted")
    rows = pd.read_csv(tmp_path / page.TABLE)
    assert rows["state"].tolist() == ["complete"] * 3 + ["failed", "pruned"]
    assert rows["value"].round(3).tolist()[:3] == [0.0, 0.1, 0.2]
    assert rows["value"].isna().tolist() == [False] * 3 + [True] * 2
    assert rows["failure"].tolist()[3] == "MemoryError: too much"
    assert json.loads((tmp_path / page.BEST).read_text()) == {"rate": 0.2, "widths": "1,2"}


def test_the_page_has_every_picture_and_brings_their_library_once(tmp_path: Path):
    page.write(a_study(6), tmp_path, metric="val_f1_weighted")
    written = (tmp_path / page.PAGE).read_text(encoding="utf-8")
    titles = re.findall(r"<h2>(.*?)</h2>", written)
    assert titles == [
        "Best: trial 5, val_f1_weighted 0.5000",
        "History",
        "Epochs",
        "Importance",
        "Values together",
        "Values one by one",
    ]
    assert written.count("Plotly.newPlot(") >= 5
    assert not re.search(r"<script[^>]+src=", written)
    assert "content=\"default-src 'none'; " in written
    assert "电话 &lt;intents&gt;" in written
    assert "6 complete, 1 failed, 1 pruned" in written


def test_a_page_of_a_study_without_a_complete_trial_says_so(tmp_path: Path):
    page.write(a_study(0), tmp_path, metric="val_f1_weighted")
    assert "1 failed, 1 pruned" in (tmp_path / page.PAGE).read_text(encoding="utf-8")
    assert not (tmp_path / page.BEST).exists()


def test_no_text_of_a_users_becomes_markup():
    study = optuna.create_study(study_name="<b>name")
    parameters = {"<b>rate": "<b>value"}
    distributions = {"<b>rate": CategoricalDistribution(("<b>value",))}
    study.add_trial(create_trial(params=parameters, distributions=distributions, value=0.5))
    outside_scripts = re.sub(
        r"<script.*?</script>", "", page.page(study, metric="<b>metric"), flags=re.DOTALL
    )
    for word in ("name", "rate", "value", "metric"):
        assert f"&lt;b&gt;{word}" in outside_scripts
    assert "<b>" not in outside_scripts
