"""The TextCNN family: its configuration, its network, its tables."""
