"""`RunJob` and `SuspendCronJob`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from aiops.core.model import Looked, Reason, RunJob, SeenObject, Step, SuspendCronJob, TargetRef, Verb, Wanted
from aiops.core.plans.operations.bodies import absent, at, found, gitops, listed, missing, patch, strings
from aiops.core.plans.operations.verbs import Origin, Requests

RUNBOOK = "policy.aiops/runbook"
"""The label by which an admin allows a CronJob's template to be run by policies (S3)."""


@dataclass(frozen=True, slots=True)
class _RunJob:
    shown: bool = True
    again_s: float = 10.0

    def wanted(self, operation: RunJob) -> Wanted:
        return Wanted(objects=(operation.template, job_of(operation)))

    def requests(self, operation: RunJob, looked: Looked, origin: Origin) -> Requests:
        template, job = found(looked, operation.template), job_of(operation)
        if template is None or absent(looked, job) is not True:
            return Requests()
        return Requests(steps=(_creation(operation, template, origin),))

    def reached(self, operation: RunJob, looked: Looked) -> bool | None:
        seen = found(looked, job_of(operation))
        if seen is None:
            return None if absent(looked, job_of(operation)) is None else False
        return _condition(seen, "Complete")

    def undo(self, operation: RunJob, looked: Looked) -> tuple[RunJob, ...] | None:
        del operation, looked
        return None  # what a Job has done, nobody here knows how to take back

    def refusal(self, operation: RunJob, looked: Looked) -> tuple[Reason, str] | None:
        gone = missing(looked, operation.template)
        template = found(looked, operation.template)
        if gone is not None or template is None:
            return gone
        if strings(at(template.body, "metadata", "labels")).get(RUNBOOK) != "true":
            return Reason.NOT_OPTED_IN, f"CronJob {operation.template} has no label {RUNBOOK}: 'true'"
        seen = found(looked, job_of(operation))
        if seen is not None and _condition(seen, "Failed"):
            return Reason.REFUSED, f"Job {seen.ref} failed"
        return None

    def touches(self, operation: RunJob) -> tuple[TargetRef, ...]:
        return (operation.template,)

    def says(self, operation: RunJob) -> str:
        given = "".join(f" {name}={value}" for name, value in operation.arguments)
        return f"run a Job of CronJob {operation.template}{given}"


@dataclass(frozen=True, slots=True)
class _Suspend:
    shown: bool = True
    again_s: float = 10.0

    def wanted(self, operation: SuspendCronJob) -> Wanted:
        return Wanted(objects=(operation.target,))

    def requests(self, operation: SuspendCronJob, looked: Looked, origin: Origin) -> Requests:
        seen = found(looked, operation.target)
        if seen is None or self.reached(operation, looked):
            return Requests()
        body = {"metadata": {"annotations": dict(origin.annotations)}, "spec": {"suspend": operation.suspend}}
        return Requests(steps=(patch(seen, body, f"CronJob {seen.ref}: suspend {str(operation.suspend).lower()}"),))

    def reached(self, operation: SuspendCronJob, looked: Looked) -> bool | None:
        seen = found(looked, operation.target)
        return None if seen is None else (at(seen.body, "spec", "suspend") is True) is operation.suspend

    def undo(self, operation: SuspendCronJob, looked: Looked) -> tuple[SuspendCronJob, ...] | None:
        reached = self.reached(operation, looked)
        if reached is None:
            return None
        return () if reached else (replace(operation, suspend=not operation.suspend),)

    def refusal(self, operation: SuspendCronJob, looked: Looked) -> tuple[Reason, str] | None:
        seen = found(looked, operation.target)
        return missing(looked, operation.target) or (None if seen is None else gitops(seen))

    def touches(self, operation: SuspendCronJob) -> tuple[TargetRef, ...]:
        return (operation.target,)

    def says(self, operation: SuspendCronJob) -> str:
        return f"{'suspend' if operation.suspend else 'resume'} CronJob {operation.target}"


RUN_JOB, SUSPEND = _RunJob(), _Suspend()


def job_of(operation: RunJob) -> TargetRef:
    """Return the Job that an operation makes: its name is the operation's, so that it is made once."""
    return replace(operation.template, api_version="batch/v1", kind="Job", name=operation.name)


def _condition(job: SeenObject, kind: str) -> bool:
    conditions = listed(at(job.body, "status", "conditions"))
    return any(one.get("type") == kind and one.get("status") == "True" for one in conditions)


def _creation(operation: RunJob, template: SeenObject, origin: Origin) -> Step:
    job = job_of(operation)
    spec: dict[str, Any] = dict(at(template.body, "spec", "jobTemplate", "spec") or {})
    pod = dict(at(spec, "template", "spec") or {})
    given = [{"name": name, "value": value} for name, value in operation.arguments]
    names = {name for name, _ in operation.arguments}
    pod["containers"] = [
        {**one, "env": [*(env for env in listed(one.get("env")) if env.get("name") not in names), *given]}
        for one in listed(pod.get("containers"))
    ]
    spec["template"] = {**(at(spec, "template") or {}), "spec": pod}
    metadata = {
        "name": job.name,
        "namespace": job.namespace,
        "annotations": {**origin.annotations, "cronjob.kubernetes.io/instantiate": "manual"},
        "labels": strings(at(template.body, "spec", "jobTemplate", "metadata", "labels")),
    }
    return Step(
        target=job,
        subresource="",
        body={"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec},
        uid="",
        resource_version="",
        summary=f"Job {job}: create",
        verb=Verb.CREATE,
    )
