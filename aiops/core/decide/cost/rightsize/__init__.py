"""Rightsizing: how much containers use, what they should request, and how that is tried out."""
