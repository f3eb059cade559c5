"""Kubernetes, read and written."""
