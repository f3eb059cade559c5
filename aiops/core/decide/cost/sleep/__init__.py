"""Sleep by the clock."""
