"""What a study found, for a training to take: read from the tracking store, wherever the trials were run."""

import dataclasses
from typing import Any

from mlflow.tracking import MlflowClient

from intents.errors import TuningError
from intents.parameters.declaration import parameters
from intents.parameters.training.train import BEST, TrainConfig, where_default
from intents.tracking import runs, store
from intents.tracking.tags import COMPLETE, MAXIMISED_TAG, STATE_TAG, STUDY_TAG, TUNED_TAG, VALUE

MOST_STUDIES_NAMED = 20


def applied(config: TrainConfig) -> TrainConfig:
    """`config` with the best values of the study that `params` names, wherever a parameter has its default value.

    Raises TuningError where there is no such study, or it tuned another family.
    """
    if not config.run.params:
        return config
    store.connect()
    name = config.run.params.removeprefix(BEST)
    run = _best_run(name)
    family = run.data.tags.get("family")
    if family != config.hyperparams.FAMILY:
        raise TuningError(
            f"params={config.run.params}: that study tuned {family}, this command trains {config.hyperparams.FAMILY}. "
            "Name a study of this family."
        )
    declared = {parameter.name: parameter for parameter in parameters(type(config.hyperparams))}
    values = {
        name: declared[name].parse(runs.unquoted(run.data.params[name]))
        for name in run.data.tags[TUNED_TAG].split(",")
    }
    return dataclasses.replace(config, hyperparams=where_default(config.hyperparams, values))


def _best_run(study: str) -> Any:
    """The run of the study's best complete trial."""
    client = MlflowClient()
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    complete = f"tags.{STUDY_TAG} = '{study}' AND tags.{STATE_TAG} = '{COMPLETE}'"
    for is_maximised, order in (("True", "DESC"), ("False", "ASC")):
        found = client.search_runs(
            experiments,
            f"{complete} AND tags.{MAXIMISED_TAG} = '{is_maximised}'",
            order_by=[f"metrics.{VALUE} {order}", "attributes.start_time ASC"],
            max_results=1,
        )
        if found:
            return found[0]
    known = client.search_runs(experiments, f"tags.{STATE_TAG} = '{COMPLETE}'", max_results=1000)
    names = sorted({run.data.tags[STUDY_TAG] for run in known})[:MOST_STUDIES_NAMED]
    raise TuningError(
        f"params={BEST}{study}: no complete trial of that study in this tracking store; it has those of: "
        f"{', '.join(names) or 'none'}. Tune first, or point MLFLOW_TRACKING_URI at the store that was tuned into."
    )
