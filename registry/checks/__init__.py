"""What a version must pass before it is published: it loads and predicts, and it is not worse."""
