"""Stage verify: what became of the actions, judged on a later Snapshot."""

from aiops.core.verify.judge import Sight, judgement, superseded

__all__ = ["Sight", "judgement", "superseded"]
