"""What is wrong with a corpus, ranked by what would help most."""
