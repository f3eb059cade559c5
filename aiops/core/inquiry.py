"""What the pure function would decide: by other signals, at another time; what would have to change for it to act."""
