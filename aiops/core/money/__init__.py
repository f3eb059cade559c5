"""Money: prices as an input, and what was spent and saved."""
