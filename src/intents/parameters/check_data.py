"""The parameters of `check_data`."""

from dataclasses import dataclass

from intents.parameters.declaration import require


@dataclass(frozen=True, kw_only=True)
class CheckConfig:
    """Which encoder must be able to spell the corpus, and where the rows to look at are written."""

    model_name: str = "char"
    """Encoder whose unknown tokens are counted, before anything is added to its vocabulary."""
    max_length: int = 128
    """Longest utterance, in tokens; longer ones are counted."""
    findings: str = "findings.csv"
    """File of the rows to look at, to be edited and passed as corrections; empty: none."""

    def __post_init__(self) -> None:
        is_csv = not self.findings or self.findings.lower().endswith(".csv")
        require(is_csv, "a file that ends in .csv, or nothing", findings=self.findings)
        require(
            bool(self.model_name.strip()), "an encoder's name, path or hub id", model_name=self.model_name
        )
        require(2 < self.max_length <= 8192, "3 to 8192 tokens", max_length=self.max_length)
