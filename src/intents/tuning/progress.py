"""What a study says while it runs."""

from collections import Counter

import mlflow
import optuna
from tqdm import tqdm

from intents.parameters.tune import TuneConfig
from intents.system import signals
from intents.system.console import Say
from intents.tracking.tags import COMPLETE, FAILED, PRUNED
from intents.tuning import page, trials


class Progress:
    """Tells of trials as they are settled: a line each, a bar, and metrics of the study's run."""

    def __init__(self, study: optuna.Study, config: TuneConfig, *, say: Say) -> None:
        self.study, self.config, self.say = study, config, say
        self.told = {trial.number for trial in trials.settled(study)}
        self.bar = tqdm(
            total=config.n_trials, initial=len(self.told), unit="trial", desc="tuning", dynamic_ncols=True
        )

    def tell(self) -> None:
        """Tells of what has been settled since."""
        for trial in trials.settled(self.study):
            if trial.number not in self.told:
                self.told.add(trial.number)
                self.bar.clear()
                self.say(self._line(trial))
                self.bar.update()
                _log_standing(self.study, step=len(self.told))

    def _line(self, trial: optuna.trial.FrozenTrial) -> str:
        state = page.WORDS[trial.state]
        seconds = trial.duration.total_seconds() if trial.duration else 0.0
        line = f"trial {trial.number} {state}"
        if state == COMPLETE:
            line += f", {self.config.metric} {trial.value:.4f}"
        elif state == PRUNED:
            line += f" after epoch {max(trial.intermediate_values, default=0)}"
        else:
            line += f": {trial.user_attrs.get(trials.FAILURE, trials.DIED)}"
        best = page.best(self.study)
        return f"{line}, {seconds:.0f} s" + (f"; best {best.value:.4f} (trial {best.number})" if best else "")

    def close(self) -> None:
        """Leaves the terminal tidy."""
        self.bar.close()


def _log_standing(study: optuna.Study, *, step: int) -> None:
    best = page.best(study)
    counts = Counter(page.WORDS[trial.state] for trial in trials.settled(study))
    metrics = {f"trials_{state}": float(counts[state]) for state in (COMPLETE, PRUNED, FAILED)}
    metrics |= {"best_value": float(best.value or 0.0)} if best else {}
    with signals.whole():
        mlflow.log_metrics(metrics, step=step)
