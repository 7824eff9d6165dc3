"""report.html: one page without a network that says how good a model is, where it is wrong, and what to do next."""
