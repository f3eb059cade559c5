"""How cost policies decide: a package for each kind of action."""
