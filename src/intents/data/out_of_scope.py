"""Out-of-scope rows: given and set aside, each in one part, none of them trained on and measured."""

import pandas as pd

from intents.data import cleaning, duplicates, splitting
from intents.data import notes as findings
from intents.data.cleaning import CleanCorpus
from intents.data.parts import TRAIN
from intents.data.utterances import normal_form
from intents.parameters.data import DataConfig


def gather(
    given: pd.DataFrame, cleaned: CleanCorpus, *, config: DataConfig, validation_size: float
) -> tuple[pd.DataFrame, list[str]]:
    """The rows `given` as out-of-scope and those that cleaning set aside, less what repeats an in-scope row.

    They have text, kind, dataset, split, line, part, may_train. Beside them what a person should know of them.

    `may_train` is False where a set-aside row's intent resembles a supported one, and where a training row is a
    near-duplicate of a row that is measured: such rows are never trained on.
    """
    set_aside = cleaned.set_aside.assign(split="", may_train=cleaned.set_aside["kind"] != cleaning.NEAR)
    rows = pd.concat([given.assign(may_train=True), set_aside], ignore_index=True)
    in_scope = set(cleaned.rows["text"].map(normal_form))
    repeats = rows["text"].map(normal_form).isin(in_scope)
    kept = rows[~repeats].reset_index(drop=True)
    groups = duplicates.representatives(kept["text"])
    kept["part"] = _parts(kept["split"], groups, config=config, validation_size=validation_size)
    is_train = kept["part"] == TRAIN
    leaks = is_train & groups.isin(groups[~is_train])
    kept["may_train"] = kept["may_train"] & ~leaks
    repeated = findings.repeats_in_scope(rows[repeats], of=len(rows))
    return kept, list(filter(None, [repeated, findings.out_of_scope_leaks(kept, leaks, groups=groups)]))


def _parts(
    split: "pd.Series[str]", groups: "pd.Series[str]", *, config: DataConfig, validation_size: float
) -> "pd.Series[str]":
    """What arrives split stays so; everything else (`split` is "") by hash, near-duplicates together."""
    hashed = splitting.grouped_parts(
        groups, test_size=config.test_size, validation_size=validation_size, seed=config.split_seed
    )
    arrived = split != ""
    # A row that resembles one that arrived split goes where that one is, or it could be trained on and measured;
    # where several parts have one, to the last of train, validation, test.
    resembled = groups.map(dict(zip(groups[arrived], split[arrived], strict=True)))
    return split.where(arrived, resembled.where(resembled.notna(), hashed))
