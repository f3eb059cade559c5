"""Stage verify: what became of actions."""
