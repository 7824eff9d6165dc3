"""What a training is told: its hyperparameters, of either family, and how it is run and tracked."""
