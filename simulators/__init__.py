"""A simulated world for the same control loop."""
