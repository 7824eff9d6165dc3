"""The parameters of `compare`."""

from dataclasses import dataclass

from intents.parameters.declaration import require
from intents.parameters.training.train import REGISTERED_MODEL


@dataclass(frozen=True, kw_only=True)
class CompareConfig:
    """Which runs are compared, and how closely."""

    runs: str = ""
    """Two or more, comma-separated: run ids, versions (7 or name/7), production; the first is the reference."""
    name: str = REGISTERED_MODEL
    """Registered model that production and bare version numbers belong to."""
    resamples: int = 2000
    """Times the test rows are drawn anew to see what chance does."""
    seed: int = 42
    """Seed of these draws."""

    def __post_init__(self) -> None:
        require(bool(self.name.strip()), "a registered model's name", name=self.name)
        require(200 <= self.resamples <= 100_000, "200 to 100000 draws", resamples=self.resamples)
        require(0 <= self.seed < 2**32, "0 to 4294967295", seed=self.seed)
        are_several = len(self.words) >= 2 and len(set(self.words)) == len(self.words)
        require(are_several, "two or more different runs, such as production,7", runs=self.runs)

    @property
    def words(self) -> tuple[str, ...]:
        """`runs` one by one."""
        return tuple(word for word in map(str.strip, self.runs.split(",")) if word)
