"""The policy language: text becomes compiled policies, purely."""
