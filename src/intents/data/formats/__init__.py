"""One module a file format, and which one a file's name asks for."""
