"""Is the difference between two models real? Statistics of paired answers to the same test rows."""
