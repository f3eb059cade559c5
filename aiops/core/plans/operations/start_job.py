"""`StartJob`: a Job that was made suspended runs from now on."""

from __future__ import annotations

from dataclasses import dataclass

from aiops.core.model import Looked, Reason, StartJob, TargetRef, Wanted
from aiops.core.objects.bodies import absent, at, found, listed, missing, patch, strings
from aiops.core.plans.operations.verbs import Origin, Requests

QUEUES = {
    "kueue.x-k8s.io/queue-name": "Kueue",
    "volcano.sh/queue-name": "Volcano",
}
"""Labels of Jobs that another program starts (S4)."""


@dataclass(frozen=True, slots=True)
class _StartJob:
    shown: bool = True
    again_s: float = 10.0

    def wanted(self, operation: StartJob) -> Wanted:
        return Wanted(objects=(operation.job,))

    def requests(self, operation: StartJob, looked: Looked, origin: Origin) -> Requests:
        seen = found(looked, operation.job)
        if seen is None or self.reached(operation, looked) or seen.uid != operation.uid:
            return Requests()
        body = {"metadata": {"annotations": dict(origin.annotations)}, "spec": {"suspend": False}}
        return Requests(steps=(patch(seen, body, f"Job {seen.ref}: starts"),))

    def reached(self, operation: StartJob, looked: Looked) -> bool | None:
        """Return whether it runs or has run; one that was deleted needs no start."""
        seen = found(looked, operation.job)
        if seen is None:
            return None if absent(looked, operation.job) is None else True
        return seen.uid != operation.uid or at(seen.body, "spec", "suspend") is not True

    def undo(self, operation: StartJob, looked: Looked) -> tuple[StartJob, ...] | None:
        del operation
        del looked
        return ()  # to suspend what has begun would throw its work away

    def refusal(self, operation: StartJob, looked: Looked) -> tuple[Reason, str] | None:
        seen = found(looked, operation.job)
        if seen is None:
            return missing(looked, operation.job)
        labels = strings(at(seen.body, "metadata", "labels"))
        queue = next((owner for label, owner in QUEUES.items() if label in labels), "")
        if queue:
            return Reason.OWNED, f"Job {seen.ref} is started by {queue}"
        owners = listed(at(seen.body, "metadata", "ownerReferences"))
        owner = next((one for one in owners if one.get("controller") is True), None)
        if owner is not None and owner.get("kind") != "CronJob":
            return Reason.OWNED, f"Job {seen.ref} belongs to {owner.get('kind')} {owner.get('name')}"
        return None

    def touches(self, operation: StartJob) -> tuple[TargetRef, ...]:
        return (operation.job,)

    def says(self, operation: StartJob) -> str:
        return f"start Job {operation.job} in {operation.job.cluster}"


VERBS = _StartJob()
