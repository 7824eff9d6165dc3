"""One training: prepare, fit, calibrate, test once. It has never heard of MLflow."""
