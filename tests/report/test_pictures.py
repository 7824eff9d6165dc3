"""The pictures: written, readable and within their size, whatever the intents are called.

pyproject turns warnings into errors, so a missing glyph or a division by zero fails the test that draws it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
from fontTools.ttLib import TTFont
from matplotlib.backends.backend_agg import RendererAgg
from PIL import Image

from intents.evaluation.evaluate import reliability
from intents.report.pictures import bars, canvas, confusion, curves, distributions

MAX_BYTES = 1_500_000
SMALLEST_LEGIBLE_PX = 11
"""A Chinese character with many strokes needs about this many pixels."""

DARKEST_BLUE = (8, 48, 107)
ACTIONS = ("查询", "播放", "设置", "取消", "打开", "关闭", "修改", "预订", "投诉", "咨询")
THINGS = ("天气预报", "背景音乐", "早晨闹钟", "信用卡账单", "高铁车票", "外卖订单", "空调温度", "快递物流")
THINGS += ("账户余额", "密码找回", "酒店房间", "航班动态", "保险理赔", "流量套餐", "會員積分")
CHINESE_INTENTS = [action + thing for action, thing in product(ACTIONS, THINGS)]
AWKWARD_INTENTS = {
    "mathtext": "$x^2_$ \\frac{a} \\$5",
    "broken mathtext": "$\\nonsense{$",
    "newlines and controls": "a\nb\r\n\tc\x00\x1b[0m\x7f",
    "emoji": "😀👨‍👩‍👧🏳️‍🌈🫠",
    "lone surrogate": "\ud800",
    "glyphs in no font": "𠮷ก็हिन्दी",
    "right to left": "مرحبا \u202eevil",
    "combining marks": "e\u0301\u0302\u0302",
    "underscore first": "_nolegend_",
    "four kilobytes": "长" * 1365,
    "nothing visible": "\u200b",
}


@dataclass(frozen=True)
class DrawnText:
    text: str
    x: float
    y: float
    """In pixels from the top."""
    angle: float
    size_px: float
    is_mathtext: bool


@pytest.fixture
def drawn_texts(monkeypatch: pytest.MonkeyPatch) -> list[DrawnText]:
    """Collects every text that matplotlib's renderer draws during the test."""
    texts: list[DrawnText] = []
    draw_text = RendererAgg.draw_text

    def draw_and_note(renderer, gc, x, y, text, font, angle, ismath=False, mtext=None):
        size_px = renderer.points_to_pixels(font.get_size_in_points())
        texts.append(DrawnText(text, x, y, angle, size_px, bool(ismath)))
        draw_text(renderer, gc, x, y, text, font, angle, ismath=ismath, mtext=mtext)

    monkeypatch.setattr(RendererAgg, "draw_text", draw_and_note)
    return texts


def read_pixels(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        return np.asarray(picture.convert("RGB"))


def draw_bars(path: Path, intents: Sequence[str]) -> np.ndarray:
    """The pixels of one bar for each intent, all equally long."""
    bars.plot_intent_distribution(path, pd.Series(5, index=list(intents)))
    return read_pixels(path)


def mostly_right(intents: int) -> np.ndarray:
    """Confusion counts in which each intent has 20 rows, one of them taken for the next intent."""
    diagonal = np.eye(intents, dtype=int)
    return 19 * diagonal + np.roll(diagonal, 1, axis=1)


def gb2312_hanzi() -> str:
    codes = (bytes(code) for code in product(range(0xB0, 0xF8), range(0xA1, 0xFF)))
    return "".join(code.decode("gb2312", errors="ignore") for code in codes)


def test_bundled_font_has_a_glyph_for_every_simplified_character_and_every_sample_intent():
    glyphs = TTFont(canvas.CJK_FONT_FILE).getBestCmap()
    hanzi = gb2312_hanzi()
    assert len(hanzi) == 6763  # the number in the standard, GB/T 2312-1980
    assert [
        char for char in hanzi + "".join(CHINESE_INTENTS) + "，。！？（）《》" if ord(char) not in glyphs
    ] == []


def test_chinese_labels_draw_their_own_glyphs_and_not_boxes(tmp_path):
    widest = "a label that fixes the left edge"  # else the pictures could differ by their size alone
    boxes, weather, music = (
        draw_bars(tmp_path / "bars.png", [widest, label]) for label in ("□□□□", "查询天气", "播放音乐")
    )
    assert boxes.shape == weather.shape == music.shape
    assert (weather != boxes).any()
    assert (weather != music).any()


@pytest.mark.parametrize("count", [3, 73, 150])
def test_confusion_matrix_names_every_intent_legibly_on_both_axes(count, tmp_path, drawn_texts):
    intents = CHINESE_INTENTS[:count]
    path = tmp_path / "matrix.png"
    confusion.plot_confusion_matrix(path, mostly_right(count), intents=intents)

    assert path.stat().st_size < MAX_BYTES
    assert min(read_pixels(path).shape[:2]) > 400
    names = [drawn for drawn in drawn_texts if drawn.text in intents]
    rows = [drawn for drawn in names if drawn.angle == 0]
    columns = [drawn for drawn in names if drawn.angle != 0]
    assert [drawn.text for drawn in sorted(rows, key=lambda drawn: drawn.y)] == intents
    assert [drawn.text for drawn in sorted(columns, key=lambda drawn: drawn.x)] == intents
    size_px = min(drawn.size_px for drawn in names)
    assert size_px >= SMALLEST_LEGIBLE_PX
    assert min(np.diff([drawn.y for drawn in rows])) >= size_px, "row names overlap"
    assert min(np.diff([drawn.x for drawn in columns])) >= size_px, "column names overlap"


def test_confusion_matrix_of_a_thousand_intents_says_which_share_of_them_it_names(tmp_path, drawn_texts):
    intents = [f"intent {number}" for number in range(1000)]
    path = tmp_path / "matrix.png"
    confusion.plot_confusion_matrix(path, mostly_right(1000), intents=intents)

    assert path.stat().st_size < MAX_BYTES
    (axis_name,) = (drawn.text for drawn in drawn_texts if drawn.text.startswith("true intent"))
    step = int(axis_name.removeprefix("true intent (one in ").removesuffix(" named)"))
    names = [drawn for drawn in drawn_texts if drawn.text in intents and drawn.angle == 0]
    assert [drawn.text for drawn in names] == intents[::step]
    assert min(np.diff([drawn.y for drawn in names])) >= names[0].size_px, "row names overlap"
    assert len(names) > 100


def test_confusion_matrix_draws_true_intents_as_rows_and_predicted_ones_as_columns(tmp_path):
    always_first = np.array([[7, 0, 0], [7, 0, 0], [7, 0, 0]])
    confusion.plot_confusion_matrix(tmp_path / "matrix.png", always_first, intents=["a", "b", "c"])
    pixels = read_pixels(tmp_path / "matrix.png")
    left_half = pixels[:, : pixels.shape[1] // 2]  # the right one holds the colour bar
    ys, xs = np.nonzero((left_half == DARKEST_BLUE).all(axis=-1))
    assert np.ptp(ys) > 2 * np.ptp(xs) > 0


def test_confusion_matrix_colours_a_row_by_shares_and_not_by_counts(tmp_path):
    small, large = np.array([[3, 1], [1, 3]]), np.array([[3, 1], [100, 300]])
    pictures = []
    for counts in (small, large):
        padded = np.zeros((31, 31), dtype=int)  # 31 intents: no numbers in the cells
        padded[:2, :2] = counts
        path = tmp_path / "matrix.png"
        confusion.plot_confusion_matrix(path, padded, intents=[str(label) for label in range(31)])
        pictures.append(read_pixels(path)[50:])  # the title above tells the number of rows
    assert (pictures[0] == pictures[1]).all()


@pytest.mark.parametrize(("count", "is_written"), [(30, True), (31, False)])
def test_confusion_matrix_writes_counts_in_its_cells_up_to_thirty_intents(
    count, is_written, tmp_path, drawn_texts
):
    counts = np.zeros((count, count), dtype=int)
    counts[2, 5], counts[0, 1] = 12345, 17
    confusion.plot_confusion_matrix(tmp_path / "matrix.png", counts, intents=CHINESE_INTENTS[:count])
    in_cells = {drawn.text for drawn in drawn_texts if drawn.text.isdigit()}
    assert in_cells == ({"17", "12345"} if is_written else set())


def test_intent_without_test_rows_is_a_grey_row(tmp_path, drawn_texts):
    counts = mostly_right(3)
    for name, is_empty in (("full.png", False), ("empty.png", True)):
        counts[1] *= not is_empty
        confusion.plot_confusion_matrix(tmp_path / name, counts, intents=["a", "b", "c"])
        is_grey = (abs(read_pixels(tmp_path / name) - 0.85 * 255) < 1).all(axis=-1)
        assert (is_grey.sum() > 10_000) == is_empty
        assert any("grey: no test rows" in drawn.text for drawn in drawn_texts) == is_empty


def test_row_shares_of_an_empty_row_are_nan_and_all_others_sum_to_one():
    shares = confusion.row_shares(np.array([[3, 1, 0], [0, 0, 0], [0, 0, 5]]))
    np.testing.assert_array_equal(shares, [[0.75, 0.25, 0], [np.nan] * 3, [0, 0, 1]])


@pytest.mark.parametrize("intent", AWKWARD_INTENTS.values(), ids=AWKWARD_INTENTS.keys())
def test_no_intent_name_makes_a_picture_fail_or_warn_or_burst(intent, tmp_path, drawn_texts):
    intents = [intent, "查询天气"]
    confusion.plot_confusion_matrix(tmp_path / "matrix.png", mostly_right(2), intents=intents)
    bars.plot_per_intent_f1(
        tmp_path / "f1.png", np.array([0.5, 1.0]), intents=intents, support_C=np.array([20, 20])
    )
    for picture in tmp_path.iterdir():
        assert max(read_pixels(picture).shape) < 1200
    assert not any(drawn.is_mathtext for drawn in drawn_texts)


def test_dollar_signs_are_drawn_as_they_are(tmp_path, drawn_texts):
    draw_bars(tmp_path / "bars.png", ["$x^2$", "\\$5"])
    assert {"$x^2$", "\\$5"} <= {drawn.text for drawn in drawn_texts}


@pytest.mark.parametrize(
    ("label", "drawn"),
    [
        ("查询天气", "查询天气"),
        ("a" * 40, "a" * 40),
        ("a" * 41, "a" * 39 + "…"),
        ("长" * 20, "长" * 20),
        ("长" * 1365, "长" * 19 + "…"),
        ("one\n two\r\n\tthree ", "one two three"),
        ("bell\x07", "bell□"),
        ("\ud800", "□"),
        ("👨\u200d👩", "□□"),
        ("ok\ufe0f", "ok"),
        ("", ""),
    ],
)
def test_label_is_drawn_on_one_line_of_forty_columns_with_boxes_for_missing_glyphs(label, drawn):
    assert canvas.shorten_label(label) == drawn


def test_per_intent_f1_puts_the_worst_at_the_top_with_its_support_beside_it(tmp_path, drawn_texts):
    bars.plot_per_intent_f1(
        tmp_path / "f1.png",
        np.array([0.9, 0.1, 0.5]),
        intents=["good", "bad", "fair"],
        support_C=np.array([1000.0, 7.0, 30.0]),  # scikit-learn's report has them as floats
    )
    height = {drawn.text: drawn.y for drawn in drawn_texts}
    assert height["bad"] < height["fair"] < height["good"]
    assert height["n=7"] == pytest.approx(height["bad"], abs=5)
    assert height["n=1,000"] == pytest.approx(height["good"], abs=5)
    assert "F1 per intent: 3 intents, worst first; red: mean 0.500" in height


def test_per_intent_f1_of_many_intents_draws_the_worst_but_averages_all(tmp_path, drawn_texts):
    count = bars.MAX_F1_BARS + 100
    f1 = np.concatenate([np.ones(100), np.zeros(bars.MAX_F1_BARS)])
    intents = [f"intent {number}" for number in range(count)]
    bars.plot_per_intent_f1(tmp_path / "f1.png", f1, intents=intents, support_C=np.ones(count))
    texts = {drawn.text for drawn in drawn_texts}
    assert texts & set(intents) == set(intents[100:])
    assert bars.MAX_F1_BARS == 200
    assert "F1 per intent: 200 worst of 300 intents; red: mean 0.333" in texts
    assert (tmp_path / "f1.png").stat().st_size < MAX_BYTES


def test_intent_distribution_draws_the_largest_first_and_says_how_many_it_leaves_out(tmp_path, drawn_texts):
    counts = pd.Series({intent: rows for rows, intent in enumerate(CHINESE_INTENTS, start=1)})  # 1 to 150
    bars.plot_intent_distribution(tmp_path / "bars.png", counts, top=30)
    names = [drawn for drawn in drawn_texts if drawn.text in CHINESE_INTENTS]
    names.sort(key=lambda drawn: drawn.y)
    assert [drawn.text for drawn in names] == CHINESE_INTENTS[:119:-1]
    total, shown = 150 * 151 // 2, 30 * (121 + 150) // 2
    title = f"Rows per intent: top 30 of 150 intents, {shown:,} of {total:,} rows"
    assert title in {drawn.text for drawn in drawn_texts}


def test_length_distribution_marks_the_median_and_the_95th_percentile(tmp_path, drawn_texts):
    distributions.plot_length_distribution(tmp_path / "lengths.png", np.arange(1, 102))
    texts = {drawn.text for drawn in drawn_texts}
    assert {"median: 51", "95th percentile: 96", "characters", "Length of 101 utterances"} <= texts
    assert read_pixels(tmp_path / "lengths.png").shape[2] == 3


def test_length_distribution_counts_outliers_in_the_title_instead_of_shrinking_the_rest(
    tmp_path, drawn_texts
):
    lengths = np.concatenate([np.arange(1, 102), [4096]])
    distributions.plot_length_distribution(tmp_path / "lengths.png", lengths)
    texts = {drawn.text for drawn in drawn_texts}
    assert "Length of 102 utterances (1 longer ones, up to 4,096, not drawn)" in texts
    assert "4,000" not in texts


@pytest.mark.parametrize(
    ("lengths", "edges"),
    [
        ([7, 7, 7], [6.5, 7.5]),
        ([1, 2, 3, 4], [0.5, 1.5, 2.5, 3.5, 4.5]),
        ([1, 2, 3, 4, 5], [0.5, 2.5, 4.5, 6.5]),
    ],
)
def test_length_bins_hold_whole_numbers_of_lengths(lengths, edges):
    assert distributions.length_bins(np.array(lengths), bins=4) == edges


SOLID_BAR = (76, 120, 168)
BAR, OUT_OF_SCOPE_BAR, THRESHOLD_LINE = (148, 174, 203), (209, 175, 199), (214, 39, 40)
"""The colours of the groups at 60 % on white, and that of the threshold."""


def coloured(pixels: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """Where the pixels have about that colour, shape (height, width)."""
    return (abs(pixels.astype(int) - colour) <= 3).all(axis=-1)


def draw_energies(path: Path, in_scope: Sequence[float], out_of_scope: Sequence[float], threshold: float):
    distributions.plot_energies(
        path,
        np.array(in_scope, dtype=float),
        out_of_scope_N=np.array(out_of_scope, dtype=float),
        threshold=threshold,
    )
    return read_pixels(path)


def test_energies_of_both_groups_are_drawn_with_what_is_accepted_of_each(tmp_path, drawn_texts):
    in_scope = [*np.linspace(-9, -5, 95), *np.linspace(-3, -1, 5)]
    pixels = draw_energies(tmp_path / "energies.png", in_scope, [-8.0, -2.0, -1.5, -1.0], -4.0)
    texts = {drawn.text for drawn in drawn_texts}
    assert {
        "in-scope: 100 rows, 95.0% accepted",
        "out-of-scope: 4 rows, 25.0% accepted",
        "threshold -4.00: accepted to its left",
        "energy (lower is more in-scope)",
        "share of the group",
        "Energy of test utterances",
    } <= texts
    columns = {
        colour: np.nonzero(coloured(pixels, colour))[1] for colour in (BAR, OUT_OF_SCOPE_BAR, THRESHOLD_LINE)
    }
    assert all(len(found) > 300 for found in columns.values())
    assert np.median(columns[BAR]) < np.median(columns[OUT_OF_SCOPE_BAR])  # lower energies stand to the left


def test_a_small_group_stands_as_high_as_a_large_one_spread_alike(tmp_path):
    heights = []
    for copies in (1, 100):
        out_of_scope = [-1.0, -1.0, -2.0] * copies
        pixels = draw_energies(tmp_path / "energies.png", [-9.0] * 50 + [-7.0] * 50, out_of_scope, -5.0)
        rows, _ = np.nonzero(coloured(pixels[120:], OUT_OF_SCOPE_BAR))  # below the legend
        heights.append(np.ptp(rows))
    assert heights[0] == heights[1] > 100


def test_energies_without_out_of_scope_rows_are_one_group(tmp_path, drawn_texts):
    pixels = draw_energies(tmp_path / "energies.png", np.linspace(-9, -1, 50), [], -4.0)
    assert not any("out-of-scope" in drawn.text for drawn in drawn_texts)
    assert coloured(pixels, BAR).sum() > 1000
    assert not coloured(pixels, OUT_OF_SCOPE_BAR).any()


@pytest.mark.parametrize(
    ("in_scope", "out_of_scope", "threshold"),
    [
        ([-3.0] * 7, [-3.0] * 4, -3.0),
        ([-3.0] * 7, [], -3.0),
        ([-3.0], [-1.0], -2.0),
        ([-3.0], [], -2.0),
        ([0.0], [], 0.0),
        ([-1e6], [-1e6], -1e6),
        ([-1000.0, -999.0], [-998.0], -3.0),
    ],
    ids=[
        "all equal",
        "all equal, one group",
        "one row each",
        "one row",
        "one row at 0",
        "large and equal",
        "a threshold far away",
    ],
)
def test_energies_of_few_or_equal_utterances_are_drawn(in_scope, out_of_scope, threshold, tmp_path):
    pixels = draw_energies(tmp_path / "energies.png", in_scope, out_of_scope, threshold)
    assert 400 < max(pixels.shape) < 1200
    assert coloured(pixels, THRESHOLD_LINE).sum() > 300
    assert (pixels < 100).all(axis=-1).sum() > 1000  # axes and letters
    is_bar = ~(abs(pixels.astype(int) - pixels.mean(axis=-1, keepdims=True)) < 12).all(axis=-1)
    assert (is_bar & ~coloured(pixels, THRESHOLD_LINE)).sum() > 500


def test_reliability_stands_beside_what_the_confidence_promises(tmp_path, drawn_texts):
    confidence = np.repeat([0.3, 0.95], [100, 900])
    is_right = np.arange(1000) % 2 == 0
    distributions.plot_reliability(tmp_path / "reliability.png", reliability(confidence, is_right), ece=0.425)
    texts = {drawn.text for drawn in drawn_texts}
    assert {
        "Reliability on 1,000 test rows: calibration error 0.4250",
        "as promised",
        "mean confidence of a bin",
        "accuracy",
        "confidence",
        "rows",
    } <= texts
    rows, columns = np.nonzero(coloured(read_pixels(tmp_path / "reliability.png"), SOLID_BAR))
    above, below = columns[rows < 440], columns[rows > 480]
    # Both bins are right half the time, so equally high; nearly all rows are in the right one.
    left, right = (np.count_nonzero((above > 320) == side) for side in (False, True))
    assert left == pytest.approx(right, rel=0.1)
    assert left > 1000
    assert np.count_nonzero(below > 320) > 5 * np.count_nonzero(below <= 320)


def draw_curve(
    path: Path, accuracies: dict[float, Sequence[float]], rows: dict[float, float], *, below: float = 0.1
) -> np.ndarray:
    """The pixels of a learning curve whose baseline is so far below the model."""
    table = pd.DataFrame(
        [
            {
                "share": share,
                "rows_per_intent": rows[share],
                "accuracy": value,
                "baseline_accuracy": value - below,
            }
            for share, values in accuracies.items()
            for value in values
        ]
    )
    curves.plot_learning_curve(
        path, table, model="bert 编码器", corpus="客服对话", scope="12 intents, 80 test rows"
    )
    return read_pixels(path)


def test_a_learning_curve_writes_means_rows_shares_and_seeds(tmp_path, drawn_texts):
    accuracies = {1.0: [0.88, 0.90, 0.92], 0.25: [0.60, 0.62, 0.61], 0.5: [0.8, 0.8, 0.8]}
    pixels = draw_curve(tmp_path / "curve.png", accuracies, {0.25: 9, 0.5: 18.5, 1.0: 36})
    texts = {drawn.text: drawn for drawn in drawn_texts}
    assert "What more rows bring: 客服对话, 12 intents, 80 test rows" in texts
    assert {"bert 编码器", "linear baseline"} <= texts.keys()
    assert "line, numbers: mean of 3 seeds; dots: the seeds; shaded: ± one standard deviation" in texts
    model, baseline = (["61.0", "80.0", "90.0"], ["51.0", "70.0", "80.0"])
    assert {*model, *baseline, "9", "18.5", "36", "25%", "50%", "100%"} <= texts.keys()
    assert texts["90.0"].y < texts["61.0"].y < texts["51.0"].y  # more is higher, and the baseline below
    # 9, 18.5 and 36 rows stand nearly evenly on a logarithmic axis.
    left, middle, right = (texts[rows].x for rows in ("9", "18.5", "36"))
    assert (middle - left) / (right - left) == pytest.approx(np.log(18.5 / 9) / np.log(36 / 9), abs=0.03)
    assert coloured(pixels, SOLID_BAR).sum() > 500
    assert coloured(pixels, (217, 119, 6)).sum() > 500


def test_a_learning_curve_writes_no_place_into_another(tmp_path, drawn_texts):
    shares = [0.1, 0.9, 0.95, 1.0]
    draw_curve(tmp_path / "curve.png", {s: [s] for s in shares}, {s: 100 * s for s in shares})
    texts = {drawn.text for drawn in drawn_texts}
    assert {"10", "100", "10%", "100%"} <= texts
    assert not {"90", "95", "90%", "95%"} & texts
    assert "one seed" in texts


@pytest.mark.parametrize("below", [0.001, -0.001])
def test_the_means_of_a_learning_curve_stand_clear_of_each_other(below, tmp_path, drawn_texts):
    draw_curve(tmp_path / "curve.png", {0.5: [0.3], 1.0: [0.8]}, {0.5: 10, 1.0: 20}, below=below)
    height = {drawn.text: drawn.y for drawn in drawn_texts}
    model, baseline = height["80.0"], height[f"{80 - 100 * below:.1f}"]
    assert (baseline - model) * np.sign(below) > 10


@pytest.mark.parametrize("rows", [{0.5: 1.0, 1.0: 1.0}, {1.0: 40.0}], ids=["equal places", "one share"])
def test_a_learning_curve_of_one_place_is_drawn(rows, tmp_path, drawn_texts):
    pixels = draw_curve(tmp_path / "curve.png", {share: [0.5, 0.5] for share in rows}, rows)
    assert 400 < max(pixels.shape) < 1200
    assert "100%" in {drawn.text for drawn in drawn_texts}


def test_drawing_leaves_the_settings_of_matplotlib_alone(tmp_path):
    with matplotlib.rc_context({"font.family": ["serif"], "text.parse_math": True}):
        draw_bars(tmp_path / "bars.png", ["查询天气"])
        assert matplotlib.rcParams["font.family"] == ["serif"]
        assert matplotlib.rcParams["text.parse_math"] is True
