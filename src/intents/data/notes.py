"""Findings: what a person should know of a split corpus before training on it; its account, row by row."""

import unicodedata
from collections.abc import Collection

import pandas as pd

from intents.data import cleaning
from intents.data.cleaning import Blacklist
from intents.data.parts import TEST, TRAIN, VALIDATION
from intents.data.problems import plain, quoted
from intents.data.utterances import name_form, normal_form

NAMED_INTENTS = 10
EXAMPLES = 3
SET_ASIDE_INTENTS = 100
"""Named at most; all of them are in the ledger."""


def account(
    rows: pd.DataFrame, ledger: pd.DataFrame, *, out_of_scope: pd.DataFrame, rows_read: int
) -> list[str]:
    """Lines that account for every row read, then for what is kept: parts, intents, out-of-scope, lengths."""
    lines = [f"rows in: {rows_read:,}"]
    for reason, dropped in ledger.groupby("reason", sort=True):
        lines.append(f"dropped {len(dropped):,}: {reason} (of {dropped['label'].nunique()} intents)")
    lines.append(f"rows kept: {len(rows):,}")
    for part in (TRAIN, VALIDATION, TEST):
        intents = rows.loc[rows["part"] == part, "label"]
        lines.append(f"{part}: {len(intents):,} rows of {intents.nunique()} intents")
    counts = rows["label"].value_counts()
    largest, smallest = counts.index[0], counts.index[-1]
    lines.append(
        f"intents: {len(counts)}; the largest {plain(largest)} with {counts[largest]:,} rows, the smallest "
        f"{plain(smallest)} with {counts[smallest]:,}, the median {counts.median():,.0f}"
    )
    for (place, kind), here in out_of_scope.groupby(["part", "kind"], sort=True):
        held_back = int((~here["may_train"].astype(bool)).sum()) if place == TRAIN else 0
        remark = f", {held_back:,} of them not trained on" if held_back else ""
        lines.append(f"out-of-scope {place} {plain(kind)}: {len(here):,}{remark}")
    lengths = rows["text_length"].quantile([0.5, 0.95, 1.0])
    lines.append("characters: median {:.0f}, 95 % within {:.0f}, longest {:.0f}".format(*lengths))
    return lines


def set_aside(
    ledger: pd.DataFrame, supported: Collection[str], *, blacklist: Blacklist, least: int
) -> tuple[str, ...]:
    """A line each, by name and rows: the intents on the blacklist, those with fewer than `least` rows."""
    blacklisted = ledger.loc[ledger["reason"] == cleaning.BLACKLISTED, "label"]
    rare = ledger.loc[ledger["reason"].isin([cleaning.RARE, cleaning.RARE_LOOKALIKE]), "label"]
    named = f"on the blacklist ({blacklist}); blacklist=none keeps them"
    few = f"fewer than {least} rows; gather more, or lower min_per_intent"
    found = [(blacklisted, named), (rare, few)]
    return tuple(f"set aside, {_rows_by_intent(of, supported)}: {why}" for of, why in found if len(of))


def _rows_by_intent(labels: "pd.Series[str]", supported: Collection[str]) -> str:
    """The rows in all and of each intent, most first, with the supported one whose name it resembles."""
    counts = labels.value_counts()
    resembled = {name_form(intent): intent for intent in supported}
    named = []
    for intent, rows in counts.head(SET_ASIDE_INTENTS).items():
        other = resembled.get(name_form(str(intent)), intent)
        alike = f" (looks like {spelled(other)})" if other != intent else ""
        named.append(f"{spelled(intent)} {rows:,}{alike}")
    if len(counts) > len(named):
        named.append(f"and {len(counts) - len(named):,} more, all in the cleaning ledger")
    return f"{len(labels):,} rows of {len(counts):,} intents ({', '.join(named)})"


def lookalike_groups(labels: "pd.Series[str]") -> list["pd.Series[int]"]:
    """The rows of each intent for every group of several whose names look alike.

    Those come first in which nothing is invisible, of these the one with most rows.
    """
    counts = labels.value_counts()
    counts = counts[
        sorted(counts.index, key=lambda name: (not name.isprintable(), -counts[name], len(name), name))
    ]
    groups = counts.groupby([name_form(intent) for intent in counts.index], sort=False)
    return [group for _, group in groups if len(group) > 1]


def lookalikes(labels: "pd.Series[str]") -> tuple[str, ...]:
    """A line on the intents whose names look alike, if there are any."""
    groups = lookalike_groups(labels)
    if not groups:
        return ()
    named = "; ".join(
        " / ".join(f"{spelled(intent)} {rows:,}" for intent, rows in group.items())
        for group in groups[:NAMED_INTENTS]
    ) + ("; …" if len(groups) > NAMED_INTENTS else "")
    return (
        f"names of intents look alike and stay apart (rows): {named}. To make them one, relabel: check_data lists the "
        "rows for corrections=",
    )


def spelled(intent: object) -> str:
    """An intent's name in quotes, shortened, with what can't be seen in it escaped, marks too."""
    return "".join(
        ascii(character)[1:-1] if unicodedata.category(character)[0] == "M" else character
        for character in quoted(intent)
    )


def notes(rows: pd.DataFrame) -> tuple[str, ...]:
    """A line each: intents without a row in a part, leaks into a part, utterances under several intents.

    `rows` needs text, label and part.
    """
    forms = rows["text"].map(normal_form)
    measured = [part for part in (VALIDATION, TEST) if (rows["part"] == part).any()]
    absent = [_absent(rows, part) for part in measured]
    leaks = [_leaks(rows, forms, part=part) for part in measured]
    return tuple(filter(None, [*absent, *leaks, _conflicts(rows, forms)]))


def repeats_in_scope(repeats: pd.DataFrame, *, of: int) -> str:
    """A line on the out-of-scope rows that were left out because they repeat an in-scope one; "" without any."""
    if repeats.empty:
        return ""
    said = f"{len(repeats)} of {of} out-of-scope rows repeat an in-scope utterance and were left out"
    return f"{said}, such as {_examples(repeats)}"


def out_of_scope_leaks(rows: pd.DataFrame, leaks: "pd.Series[bool]", *, groups: "pd.Series[str]") -> str:
    """A line on the out-of-scope training rows that are near-duplicates of measured ones; "" without any.

    `leaks` marks them; `groups` has the same value for near-duplicates.
    """
    if not leaks.any():
        return ""
    is_measured = rows["part"] != TRAIN
    measured = dict(zip(groups[is_measured], rows.loc[is_measured, "text"], strict=True))
    shown = rows[leaks].assign(near=groups[leaks].map(measured)).drop_duplicates("text").head(EXAMPLES)
    examples = ", ".join(f"{quoted(row.text)} (near {quoted(row.near)})" for row in shown.itertuples())
    return (
        f"{int(leaks.sum())} of {int((~is_measured).sum())} out-of-scope training rows are near-duplicates of "
        f"validation or test ones and are not trained on, such as {examples}"
    )


def _absent(rows: pd.DataFrame, part: str) -> str:
    missing = sorted(set(rows["label"]) - set(rows.loc[rows["part"] == part, "label"]))
    return f"{len(missing)} intent(s) have no {part} row: {_named(missing, ', ')}" if missing else ""


def _leaks(rows: pd.DataFrame, forms: "pd.Series[str]", *, part: str) -> str:
    here = rows["part"] == part
    leaked = rows[here & forms.isin(forms[rows["part"] == TRAIN])]
    if leaked.empty:
        return ""
    said = f"{len(leaked)} of {here.sum()} {part} rows repeat a training row (case and punctuation aside)"
    return f"{said}, such as {_examples(leaked)}"


def _conflicts(rows: pd.DataFrame, forms: "pd.Series[str]") -> str:
    named = rows.assign(form=forms).drop_duplicates(["form", "label"])
    several = named[named.duplicated("form", keep=False)]
    if several.empty:
        return ""
    conflicting = several["form"].unique()
    shown = several[several["form"].isin(conflicting[:EXAMPLES])].groupby("form", sort=False)
    examples = ", ".join(
        f"{quoted(group['text'].iloc[0])} ({_named(list(group['label']), ' / ')})" for _, group in shown
    )
    return f"{len(conflicting)} utterance(s) stand under more than one intent, such as {examples}"


def _examples(rows: pd.DataFrame) -> str:
    return ", ".join(map(quoted, rows["text"].unique()[:EXAMPLES]))


def _named(intents: list[str], separator: str) -> str:
    more = " …" if len(intents) > NAMED_INTENTS else ""
    return separator.join(map(plain, intents[:NAMED_INTENTS])) + more
