"""Findings: what a person should know of a split corpus before training on it."""

import pandas as pd

from intents.data.splitting import TEST, TRAIN, VALIDATION, normal_form

NAMED_INTENTS = 10
EXAMPLES = 3


def notes(rows: pd.DataFrame) -> tuple[str, ...]:
    """A line each: intents without a row in a part, leaks into a part, utterances under several intents.

    `rows` needs text, label and part.
    """
    forms = rows["text"].map(normal_form)
    measured = [part for part in (VALIDATION, TEST) if (rows["part"] == part).any()]
    found = [*(_absent(rows, part) for part in measured), *(_leaks(rows, forms, part) for part in measured)]
    return tuple(note for note in (*found, _conflicts(rows, forms)) if note)


def repeats_in_scope(repeats: pd.DataFrame, *, of: int) -> tuple[str, ...]:
    """A line on the out-of-scope rows that were left out because they repeat an in-scope one."""
    if repeats.empty:
        return ()
    examples = ", ".join(repr(text) for text in repeats["text"].unique()[:EXAMPLES])
    return (
        f"{len(repeats)} of {of} out-of-scope rows repeat an in-scope utterance and were left out, "
        f"such as {examples}",
    )


def _absent(rows: pd.DataFrame, part: str) -> str:
    missing = sorted(set(rows["label"]) - set(rows.loc[rows["part"] == part, "label"]))
    if not missing:
        return ""
    named = ", ".join(missing[:NAMED_INTENTS]) + (" …" if len(missing) > NAMED_INTENTS else "")
    return f"{len(missing)} intent(s) have no {part} row: {named}"


def _leaks(rows: pd.DataFrame, forms: "pd.Series[str]", part: str) -> str:
    here = rows["part"] == part
    leaked = rows[here & forms.isin(forms[rows["part"] == TRAIN])]
    if leaked.empty:
        return ""
    examples = ", ".join(repr(text) for text in leaked["text"].unique()[:EXAMPLES])
    return (
        f"{len(leaked)} of {here.sum()} {part} rows repeat a training row (case and punctuation aside), "
        f"such as {examples}"
    )


def _conflicts(rows: pd.DataFrame, forms: "pd.Series[str]") -> str:
    named = rows.assign(form=forms).drop_duplicates(["form", "label"])
    several = named[named.duplicated("form", keep=False)].groupby("form", sort=False)
    if not several.ngroups:
        return ""
    shown = several.agg(text=("text", "first"), intents=("label", " / ".join)).head(EXAMPLES)
    examples = ", ".join(f"{row.text!r} ({row.intents})" for row in shown.itertuples())
    return f"{several.ngroups} utterance(s) stand under more than one intent, such as {examples}"
