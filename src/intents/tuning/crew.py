"""The processes that train a study's trials: started, replaced when one dies, stopped together."""

import contextlib
import multiprocessing
import multiprocessing.connection
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

import optuna

from intents.errors import TuningError
from intents.system import liveness, processes
from intents.tracking import runs
from intents.tuning import trials, worker
from intents.tuning.worker import Job

POLL_SECONDS = 0.5
STOP_SECONDS = 30
"""How long a worker may take to end its trial's run once it was told to stop."""
FRUITLESS_DEATHS = 10
"""Workers that die one after another, and no trial is settled meanwhile: something else is wrong."""
FIRST_FAILURES = 3
"""Trials that fail before any succeeds: the study's settings are wrong, not its values."""
PROCESSES = multiprocessing.get_context("spawn")


def train(study: optuna.Study, job: Job, *, on_change: Callable[[], None]) -> None:
    """Trains trials until the study has enough. Raises TuningError where that leads nowhere.

    `on_change` is called once in a while, so that who waits hears of what was settled. Whatever ends it, no worker
    is left behind, and no trial of this machine counts as running.
    """
    crew = Crew(job)
    try:
        while crew.keep_up(study):
            on_change()
            crew.wait()
        on_change()
    finally:
        crew.stop()
        retire(study)


def retire(study: optuna.Study) -> None:
    """Ends the trials of processes that died, and their runs."""
    if trials.retire_dead(study):
        runs.end_the_dead()


class Crew:
    """Up to `n_jobs` processes, each with its share of the cores."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.members: list[BaseProcess] = []
        self.started = 0
        self.deaths = 0
        self.settled = 0

    def keep_up(self, study: optuna.Study) -> bool:
        """Buries the dead, starts who is missing; whether anybody is at work."""
        ended = [member for member in self.members if not member.is_alive()]
        self.members = [member for member in self.members if member.is_alive()]
        self._check(study, deaths=sum(member.exitcode != 0 for member in ended))
        if time.time() < self.job.deadline:
            while len(self.members) < min(self.job.config.n_jobs, self._missing(study)):
                self._start()
        if not self.members and trials.ownerless(study):
            retire(study)
            return True
        return bool(self.members)

    def _missing(self, study: optuna.Study) -> int:
        """Trials that are neither settled nor under way elsewhere."""
        mine = {member.pid for member in self.members}
        owners = (trial.user_attrs.get(trials.OWNER) for trial in trials.running(study))
        elsewhere = [owner for owner in owners if not owner or int(owner[liveness.PID_TAG]) not in mine]
        return self.job.config.n_trials - len(trials.settled(study)) - len(elsewhere)

    def _check(self, study: optuna.Study, *, deaths: int) -> None:
        if deaths:
            retire(study)
        settled = trials.settled(study)
        self.deaths = deaths + (self.deaths if len(settled) == self.settled else 0)
        self.settled = len(settled)
        if self.deaths >= FRUITLESS_DEATHS:
            raise TuningError(
                f"{self.deaths} workers died without settling a trial: what they printed, if anything, stands above; "
                "a process that is killed for memory prints nothing (try a smaller n_jobs)."
            )
        failed = [trial for trial in settled if trial.state == optuna.trial.TrialState.FAIL]
        if len(failed) == len(settled) >= FIRST_FAILURES:
            raise TuningError(
                f"the first {len(failed)} trials failed, the last of them with: "
                f"{failed[-1].user_attrs.get(trials.FAILURE, trials.DIED)} Mend it, and name another study."
            )

    def _start(self) -> None:
        ours, theirs = PROCESSES.Pipe()
        # A worker has its share of the cores, and no run of its parent's.
        cores = max(1, processes.cores() // self.job.config.n_jobs)
        inherited = {"OMP_NUM_THREADS": str(cores), "MLFLOW_RUN_ID": None}
        with processes.environment(inherited), processes.ctrl_c_held_back():
            member = PROCESSES.Process(target=worker.work, args=(theirs, self.started), daemon=True)
            member.start()
        theirs.close()
        threading.Thread(target=_hand_over, args=(self.job, ours), daemon=True).start()
        self.started += 1
        self.members.append(member)

    def wait(self) -> None:
        """Waits until one ends, or a moment."""
        sentinels = [member.sentinel for member in self.members]
        if not multiprocessing.connection.wait(sentinels, timeout=POLL_SECONDS) and not sentinels:
            time.sleep(POLL_SECONDS)

    def stop(self) -> None:
        """Tells everybody to stop, waits, and kills who does not."""
        for member in self.members:
            member.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for member in self.members:
            member.join(max(0.0, deadline - time.monotonic()))
            if member.is_alive():
                member.kill()
                member.join()


def _hand_over(job: Job, connection: Connection) -> None:
    """Sends the job once the worker has started, however long that takes; one that died needs none.

    As an argument of the process it would go through a pipe that both ends hold open here: a worker that is killed
    before it has read it all would leave this process waiting for ever.
    """
    with connection, contextlib.suppress(OSError):
        connection.send(job)
