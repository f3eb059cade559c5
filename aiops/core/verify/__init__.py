"""Stage verify: what became of the actions, judged on a later Snapshot."""

from aiops.core.verify.judge import Sight, judgement, superseded, unseen

__all__ = ["Sight", "judgement", "superseded", "unseen"]
