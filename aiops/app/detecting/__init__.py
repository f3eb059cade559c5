"""Detecting offline, as the daemon would: a file or a range of a Prometheus through the shipped detectors."""
