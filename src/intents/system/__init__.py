"""Signals, processes, files that survive a power cut, the lock, liveness, the console."""
