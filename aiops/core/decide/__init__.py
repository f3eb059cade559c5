"""Stage decide: what policies want."""
