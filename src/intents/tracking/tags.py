"""What a trial's run is marked with: tags and metrics, written by the worker, read by whoever wants the best."""

STUDY_TAG, TRIAL_TAG, STATE_TAG = "study", "trial", "trial_state"
TUNED_TAG = "tuned"
"""The names of the hyperparameters that the study searched, with commas between."""
MAXIMISED_TAG = "is_maximised"
COMPLETE, PRUNED, FAILED = "complete", "pruned", "failed"
VALUE, SECONDS, EPOCHS = "trial_value", "train_seconds", "epochs_run"
