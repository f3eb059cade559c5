"""Stage forecast: what comes next."""
