"""Intent classifiers that know what they don't know: train, compare, publish and serve them on MLflow."""
