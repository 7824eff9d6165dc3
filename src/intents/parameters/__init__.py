"""Every parameter of every command, one file a command, and MLproject made from them."""
