"""Utterances and intents: reading, cleaning and splitting a corpus."""
