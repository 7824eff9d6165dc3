"""Publishing: from the model registry to the directory that the chat service reads."""
