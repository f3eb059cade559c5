"""Spot: how often nodes are taken away, how much of a workload may run on them, and the way back."""
