"""Stage guard: what may be done."""
