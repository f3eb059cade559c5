"""Stage detect: what is not normal."""
