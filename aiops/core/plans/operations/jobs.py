"""`RunJob` and `SuspendCronJob`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from aiops.core.model import Looked, Reason, RunJob, SeenObject, Step, SuspendCronJob, TargetRef, Verb, Wanted
from aiops.core.objects.bodies import (
    absent,
    at,
    found,
    gitops,
    listed,
    missing,
    name_of,
    number,
    patch,
    strings,
)
from aiops.core.plans.operations.verbs import Origin, Requests

TEMPLATE = "policy.aiops/template"
"""The annotation of a Job that says of which CronJob it was made."""

SUSPENDED = "policy.aiops/suspended"
"""The annotation of a CronJob that a plan has suspended."""

KEPT_S, LONGEST = 86_400, 1_024
RUNBOOK = "policy.aiops/runbook"
"""The label by which an admin allows a CronJob's template to be run by policies (S3)."""


@dataclass(frozen=True, slots=True)
class _RunJob:
    """again_s: a Job is kept for a day, so one that is not there was never made, or somebody has deleted it."""

    shown: bool = True
    again_s: float = 60.0

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
        if seen is not None:
            return _made(seen, operation)
        return _undeclared(operation, template)

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
        mark = origin.plan_id if operation.suspend else None
        body = {"metadata": {"annotations": {SUSPENDED: mark}}, "spec": {"suspend": operation.suspend}}
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
        gone = missing(looked, operation.target)
        seen = found(looked, operation.target)
        if gone is not None or seen is None:
            return gone
        ours = SUSPENDED in strings(at(seen.body, "metadata", "annotations"))
        if not operation.suspend and at(seen.body, "spec", "suspend") is True and not ours:
            return Reason.OWNED, f"CronJob {seen.ref} was suspended by somebody else"
        return gitops(seen)

    def touches(self, operation: SuspendCronJob) -> tuple[TargetRef, ...]:
        return (operation.target,)

    def says(self, operation: SuspendCronJob) -> str:
        return f"{'suspend' if operation.suspend else 'resume'} CronJob {operation.target}"


RUN_JOB, SUSPEND = _RunJob(), _Suspend()


def job_of(operation: RunJob) -> TargetRef:
    """Return the Job that an operation makes: its name is the operation's, so that it is made once."""
    return replace(operation.template, api_version="batch/v1", kind="Job", name=operation.name)


def _made(job: SeenObject, operation: RunJob) -> tuple[Reason, str] | None:
    """Return why a Job of this name is not one that goes on: it is another's, or it failed."""
    if strings(at(job.body, "metadata", "annotations")).get(TEMPLATE) != operation.template.name:
        return Reason.OWNED, f"Job {job.ref} is there and not ours"
    if _condition(job, "Failed"):
        why = next((at(one, "message") for one in listed(at(job.body, "status", "conditions"))), None)
        return Reason.REFUSED, f"Job {job.ref} failed{f': {why}' if isinstance(why, str) and why else ''}"
    return None


def _undeclared(operation: RunJob, template: SeenObject) -> tuple[Reason, str] | None:
    """Return which argument the template does not declare as a plain variable: only those may be given (S3)."""
    pod = at(template.body, "spec", "jobTemplate", "spec", "template", "spec")
    containers = [one for part in ("containers", "initContainers") for one in listed(at(pod, part))]
    if not listed(at(pod, "containers")):
        return Reason.REFUSED, f"CronJob {template.ref} has no container"
    declared = {name_of(env) for one in containers for env in listed(one.get("env")) if "valueFrom" not in env}
    missing_ = next((name for name, _ in operation.arguments if name not in declared), None)
    if missing_ is not None:
        return Reason.REFUSED, f"CronJob {template.ref} declares no variable {missing_} in the env of a container"
    long = next((name for name, value in operation.arguments if len(value) > LONGEST or "\0" in value), None)
    return None if long is None else (Reason.BOUNDS, f"the value of {long} is too long, at most {LONGEST} characters")


def _given(container: Mapping[str, Any], operation: RunJob) -> dict[str, Any]:
    """Return a container with its declared variables given. A `$` is doubled: Kubernetes would expand it."""
    values = {name: value.replace("$", "$$") for name, value in operation.arguments}
    if "env" not in container:
        return dict(container)
    env = [
        {**one, "value": values[name_of(one)]} if name_of(one) in values and "valueFrom" not in one else dict(one)
        for one in listed(container["env"])
    ]
    return {**container, "env": env}


def _condition(job: SeenObject, kind: str) -> bool:
    conditions = listed(at(job.body, "status", "conditions"))
    return any(one.get("type") == kind and one.get("status") == "True" for one in conditions)


def _creation(operation: RunJob, template: SeenObject, origin: Origin) -> Step:
    job = job_of(operation)
    spec: dict[str, Any] = dict(at(template.body, "spec", "jobTemplate", "spec") or {})
    pod = dict(at(spec, "template", "spec") or {})
    for part in ("containers", "initContainers"):
        if part in pod:
            pod[part] = [_given(one, operation) for one in listed(pod[part])]
    # one that went away when it had ended would be made again
    spec["ttlSecondsAfterFinished"] = max(KEPT_S, number(spec.get("ttlSecondsAfterFinished"), KEPT_S) or 0)
    spec["template"] = {**(at(spec, "template") or {}), "spec": pod}
    metadata = {
        "name": job.name,
        "namespace": job.namespace,
        "annotations": {
            **origin.annotations,
            TEMPLATE: operation.template.name,
            "cronjob.kubernetes.io/instantiate": "manual",
        },
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
