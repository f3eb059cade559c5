"""RemediationPolicy: from trouble that is seen to a plan of what is done about it, one rung of a ladder at a time."""
