"""The pictures of a trained classifier, drawn from plain arrays into PNG files."""
