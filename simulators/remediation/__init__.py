"""Rehearsals of RemediationPolicies: a workload on nodes, what goes wrong with it, and who does what about that."""
