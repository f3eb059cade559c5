"""The report of a week: reliability, money, incidents, what was done and what came of it, models, people."""

from aiops.app.weekly.gathered import Asked, asked_of, weekly

__all__ = ["Asked", "asked_of", "weekly"]
