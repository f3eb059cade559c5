"""Settings, wiring, daemon, command line."""
