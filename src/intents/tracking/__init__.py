"""Every MLflow call: the store, runs, models, versions; the commands as MLflow runs."""
