"""Batch work that can wait is begun when it is cheap, in time for its deadline."""
