"""Forms: what makes two utterances the same, and what tells them apart."""

import pytest

from intents.data.utterances import name_form, normal_form


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("Hello, World!", "helloworld"),
        ("ＨＥＬＬＯ　ｗｏｒｌｄ", "helloworld"),
        ("在 吗？", "在吗"),
        ("在吗~~", "在吗"),
        ("在吗～😀", "在吗😀"),
        ("Straße", "strasse"),
        ("cafe\u0301", "café"),
        ("cafe\u200b\u0301", "café"),
        ("①号", "1号"),
        ("a\u200bb\u2028c", "abc"),
        ("？？", "??"),
        (" 😀 😀", "😀😀"),
        ("好\u2764\ufe0f", "好\u2764"),
        ("👍🏽！", "👍"),
        ("covid-19", "covid19"),
        ("1,250,000 人", "1250000人"),
        ("1、2、3", "123"),
        (".5 升", ".5升"),
        ("——5块", "5块"),
        ("好的.5点见", "好的5点见"),
        ("－5℃", "-5°c"),
        ("零下−5度", "零下-5度"),
    ],
)
def test_the_normal_form_ignores_case_width_spaces_and_ordinary_punctuation(text: str, form: str) -> None:
    assert normal_form(text) == form


@pytest.mark.parametrize(
    "texts",
    [
        ("c++ error", "c# error", "c error"),
        ("太棒了👍", "太棒了👎", "太棒了"),
        ("要1.5个", "要15个", "要1-5个", "要1/5个", "要1:5个", "要1~5个", "要-15个"),
        ("5%", "5‰", "5", "$5", "€5", "5°", "+5", "-5"),
        ("a<b", "a>b", "a=b", "ab"),
        ("\U0001fae8", "\U0001fae9"),  # of a later Unicode than this Python's
    ],
)
def test_utterances_that_differ_by_what_carries_meaning_are_not_one(texts: tuple[str, ...]) -> None:
    assert len(set(map(normal_form, texts))) == len(texts)


@pytest.mark.parametrize(
    "names",
    [
        ("Greet", "greet", " ＧＲＥＥＴ"),
        ("肯定(好的)", "肯定（好的）"),
        ("café", "cafe\u0301", "cafe\u200b\u0301"),
        ("track order", "Track order\u200b", "track  order", "track\u3000order", "trackorder"),
        ("like \u2764", "like \u2764\ufe0f"),
    ],
)
def test_names_that_look_alike_share_a_form(names: tuple[str, ...]) -> None:
    assert len(set(map(name_form, names))) == 1


def test_names_that_differ_by_a_sign_do_not_look_alike() -> None:
    names = ("c", "c#", "c++", "肯定(好的)", "肯定(好了)", "track_order", "track-order")
    assert len(set(map(name_form, names))) == len(names)
