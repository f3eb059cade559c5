"""Policies whose decisions are plans: what they are compiled to, and what they are judged from."""

from aiops.core.planning.situation import Judged, Situation

__all__ = ["Judged", "Situation"]
