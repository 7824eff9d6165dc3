"""Scoring files of any size: read in chunks, answered by several processes, written in order, resumed after a kill."""
