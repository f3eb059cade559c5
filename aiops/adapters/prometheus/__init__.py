"""Prometheus, read."""
