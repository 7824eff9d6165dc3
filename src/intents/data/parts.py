"""The names of a corpus's parts."""

TRAIN, VALIDATION, TEST = "train", "validation", "test"
