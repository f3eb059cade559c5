"""Where fleet state lives."""
