"""What became of trials: which count, which are tried again."""

from datetime import datetime, timedelta

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from intents.system import liveness
from intents.tuning import trials

DEAD = liveness.tags() | {liveness.PID_TAG: "999999999"}


@pytest.fixture
def study() -> optuna.Study:
    return optuna.create_study(direction="maximize")


def begun(study: optuna.Study, owner: dict[str, str] | None = None) -> optuna.Trial:
    trial = study.ask()
    trial.suggest_float("rate", 0.0, 1.0)
    if owner:
        trial.set_user_attr(trials.OWNER, owner)
    return trial


def test_complete_pruned_and_failed_trials_count_and_others_do_not(study: optuna.Study):
    study.tell(begun(study), 0.5)
    study.tell(begun(study), state=TrialState.PRUNED)
    study.tell(begun(study), state=TrialState.FAIL)
    begun(study)
    study.enqueue_trial({"rate": 0.1})
    assert [trial.number for trial in trials.settled(study)] == [0, 1, 2]
    assert [trial.number for trial in trials.running(study)] == [3]
    assert trials.unclaimed(study, 10) == 6
    assert [trial.number for trial in trials.of_state(study, TrialState.PRUNED)] == [1]


def test_a_trial_of_a_dead_process_is_ended_and_its_values_tried_again(study: optuna.Study):
    dead = begun(study, DEAD)
    assert [trial.number for trial in trials.retire_dead(study)] == [dead.number]
    assert trials.settled(study) == []
    assert study.trials[0].state == TrialState.FAIL
    again = study.ask()
    assert again.suggest_float("rate", 0.0, 1.0) == dead.params["rate"]
    assert again.user_attrs == {trials.RETRY_OF: 0, trials.RETRIES: 1}
    assert trials.retire_dead(study) == []


def test_a_trial_of_a_living_process_is_left_alone(study: optuna.Study):
    begun(study, liveness.tags())
    assert trials.retire_dead(study) == []
    assert len(trials.running(study)) == 1


def test_a_trial_that_keeps_dying_counts_as_failed_in_the_end(study: optuna.Study):
    for death in range(1 + trials.MOST_RETRIES):
        assert trials.unclaimed(study, 1) == 1, death
        begun(study, DEAD)
        trials.retire_dead(study)
    assert trials.unclaimed(study, 1) == 0
    assert [trial.state for trial in trials.settled(study)] == [TrialState.FAIL]


@pytest.mark.parametrize(("age", "is_retired"), [(1.0, False), (trials.OWNERLESS_SECONDS + 5.0, True)])
def test_a_trial_that_nobody_owns_is_retired_once_it_is_old(
    study: optuna.Study, age: float, is_retired: bool
):
    begun_at = datetime.now() - timedelta(seconds=age)
    trial = create_trial(state=TrialState.RUNNING)
    trial.datetime_start = begun_at
    study.add_trial(trial)
    assert len(trials.ownerless(study)) == 1
    assert bool(trials.retire_dead(study)) == is_retired


def test_of_two_processes_that_begin_the_last_trial_the_later_one_has_one_too_many(study: optuna.Study):
    study.tell(begun(study), 0.5)
    first, second = begun(study), begun(study)
    assert not trials.is_surplus(study, first.number, n_trials=2)
    assert trials.is_surplus(study, second.number, n_trials=2)
    assert not trials.is_surplus(study, second.number, n_trials=3)


def test_a_surplus_trial_does_not_count(study: optuna.Study):
    surplus = begun(study)
    surplus.set_user_attr(trials.CUT_OFF, trials.SURPLUS)
    study.tell(surplus, state=TrialState.FAIL)
    assert trials.settled(study) == []


def test_a_trial_retried_before_it_had_values_is_asked_for_the_same(study: optuna.Study):
    study.enqueue_trial({"rate": 0.25})
    study.ask().set_user_attr(trials.OWNER, DEAD)
    trials.retire_dead(study)
    assert study.ask().suggest_float("rate", 0.0, 1.0) == 0.25
