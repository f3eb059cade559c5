"""CostPolicy that packs: which node could be emptied, by a simulated schedule, and the plan that empties it."""
