"""Tags and metrics of runs and versions that one module writes and another reads."""

FOLDER_TAG = "checkpoints"
"""The run's folder under `workspace`/runs: its own id, or that of the run it goes on from."""
RESUMES_TAG = "resumes"
FAILURE_TAG = "failure"
CORPUS_DIGEST_TAG = "corpus_digest"
TEST_DIGEST_TAG = "test_digest"
SELECTED_ON_TAG = "selected_on"
"""What the epoch was chosen on."""
VERSION_TAGS = ("family", "encoder", "dataset", "recipe", CORPUS_DIGEST_TAG)
"""Of a run's tags, those that its version has too."""

STUDY_TAG, TRIAL_TAG, STATE_TAG = "study", "trial", "trial_state"
TUNED_TAG = "tuned"
"""The names of the hyperparameters that the study searched, with commas between."""
MAXIMISED_TAG = "is_maximised"
COMPLETE, PRUNED, FAILED = "complete", "pruned", "failed"
VALUE, SECONDS, EPOCHS = "trial_value", "train_seconds", "epochs_run"
