"""Letting workloads rest and waking them, whoever says when."""
