"""The locks on the doors: who calls, what they may, how often, and what is let in at all."""
