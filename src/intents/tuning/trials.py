"""What became of a study's trials: which count, which were cut off and are to be tried again."""

from datetime import datetime

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from intents.system import liveness

OWNER, RUN, RETRIES, RETRY_OF, CUT_OFF = "owner", "run_id", "retries", "retry_of", "cut_off"
"""Attributes of a trial: its process, its MLflow run, how often it was begun anew, of which trial it is a repetition,
and, where it was not trained to its end through no fault of its own, why."""
MOST_RETRIES = 3
OWNERLESS_SECONDS = 20
"""A trial that nobody has owned for so long lost its process between two writes."""
FAILURE = "failure"
DIED, INTERRUPTED, SURPLUS = "its process died", "interrupted", "one more than asked for"


def every(study: optuna.Study) -> list[FrozenTrial]:
    """The study's trials as they are now. They must not be changed."""
    return study.get_trials(deepcopy=False)


def settled(study: optuna.Study) -> list[FrozenTrial]:
    """The trials that count: complete, pruned, or failed for a reason of their own."""
    known = every(study)
    repeated = {trial.user_attrs.get(RETRY_OF) for trial in known}
    return [
        trial
        for trial in known
        if trial.state.is_finished() and CUT_OFF not in trial.user_attrs and trial.number not in repeated
    ]


def running(study: optuna.Study) -> list[FrozenTrial]:
    """The trials under way, on whatever machine."""
    return [trial for trial in every(study) if trial.state == TrialState.RUNNING]


def unclaimed(study: optuna.Study, n_trials: int) -> int:
    """How many trials are still to be begun until the study has `n_trials`."""
    return n_trials - len(settled(study)) - len(running(study))


def is_surplus(study: optuna.Study, number: int, *, n_trials: int) -> bool:
    """Whether trials begun earlier are enough: two processes that begin the last one at once both find it free."""
    taken = [*settled(study), *running(study)]
    return sum(trial.number < number for trial in taken) >= n_trials


def of_state(study: optuna.Study, state: TrialState) -> list[FrozenTrial]:
    """The trials that count and ended like this."""
    return [trial for trial in settled(study) if trial.state == state]


def retry(study: optuna.Study, trial: FrozenTrial) -> None:
    """Lets the values that a trial that was cut off had, or was to have, be tried again, unless that has been done
    often enough."""
    retries = int(trial.user_attrs.get(RETRIES, 0))
    if retries < MOST_RETRIES:
        values = trial.params or dict(trial.system_attrs.get("fixed_params", {}))
        study.enqueue_trial(values, user_attrs={RETRY_OF: trial.number, RETRIES: retries + 1})


def retire_dead(study: optuna.Study) -> list[FrozenTrial]:
    """Ends the trials whose process on this machine is proven dead, lets them be tried again, and returns them.

    One that has died too often counts as failed.
    """
    retired = []
    for trial in running(study):
        if not _is_dead(trial):
            continue
        storage = study._storage
        try:
            if int(trial.user_attrs.get(RETRIES, 0)) < MOST_RETRIES:
                storage.set_trial_user_attr(trial._trial_id, CUT_OFF, DIED)
            if not storage.set_trial_state_values(trial._trial_id, state=TrialState.FAIL):
                continue
        except UpdateFinishedTrialError:
            continue  # another process was faster
        retry(study, trial)
        retired.append(trial)
    return retired


def ownerless(study: optuna.Study) -> list[FrozenTrial]:
    """The trials under way whose process has not said, or could not say any more, that they are its own."""
    return [trial for trial in running(study) if OWNER not in trial.user_attrs]


def _is_dead(trial: FrozenTrial) -> bool:
    owner = trial.user_attrs.get(OWNER)
    if owner:
        return liveness.is_proven_dead(owner)
    begun = trial.datetime_start
    return begun is not None and (datetime.now() - begun).total_seconds() > OWNERLESS_SECONDS
