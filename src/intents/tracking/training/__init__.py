"""A training as an MLflow run: what is logged of it, how it goes on after an interruption."""
