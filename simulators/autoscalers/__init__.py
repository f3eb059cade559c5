"""The autoscalers that people run today, each after its own documentation, and the clairvoyant optimum.

They are what ours is measured against (`simulators.lab`); the HPA also lives in the world of `simulators.world`.
"""
