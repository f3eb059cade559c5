"""Versions of the models that foretell a policy's demand: where they come from, who acts, and who replaces whom."""
