"""Tuning: a study of many trainings, each with other hyperparameters, by several processes on one machine or more."""
