"""Backtests: policies on recorded history, through the very ControlLoop and the simulator's service model."""
