"""Plans step by step: what is sent next, what is taken back, whether it helped."""
