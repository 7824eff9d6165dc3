"""check_data: a corpus' account and findings, and the file of rows to look at."""

from pathlib import Path

from intents.data import corpus as corpora
from intents.data.parts import TRAIN
from intents.diagnosis import examination, sheet, spelling
from intents.models.encoders import encoder
from intents.parameters.check_data import CheckConfig
from intents.parameters.data import DataConfig
from intents.system.console import Say


def check(data: DataConfig, config: CheckConfig, *, say: Say) -> str:
    """What is to be printed last; before it `say` hears what takes no time, and how far the rest has come.

    Raises IntentsError.
    """
    corpus = corpora.load(data)
    file = Path(config.findings)
    if config.findings:
        sheet.check_replaceable(file, corpus.corrections)
    trained = list(corpus.part(TRAIN)["text"])
    tokenizer = encoder.tokenizer_for(
        config.model_name, trained, max_length=config.max_length, workspace=Path(data.workspace)
    )
    say(corpus.description())
    spelled = spelling.account(corpus, tokenizer, model_name=config.model_name, max_length=config.max_length)
    say("\n".join(spelled))
    known = examination.examined(corpus, say=say)
    found = examination.ranked(known, tokenizer=tokenizer)
    lines = examination.described(found, known)
    if config.findings:
        table = sheet.sheet(found, corpus.corrections)
        sheet.write(table, file)
        rows = len(table) - len(corpus.corrections)
        action = (
            f"{rows:,} rows to look at; fill in action (keep, drop or relabel with a new_label), then pass "
            f"-P corrections={file}"
        )
        lines.append(f"{file}: {action if rows else 'no rows to look at'}")
    return "\n".join(lines)
