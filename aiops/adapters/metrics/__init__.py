"""The daemon's own metrics."""
