"""Stage verify: what became of the actions, judged on a later Snapshot."""

from aiops.core.verify.judge import Sight, gone, judgement, lost, superseded, unseen

__all__ = ["Sight", "gone", "judgement", "lost", "superseded", "unseen"]
