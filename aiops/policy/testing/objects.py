"""What a test of a policy of plans puts into the cluster: objects as an API server shows them, and what they use."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from aiops.core.decide.quantities import Quantity
from aiops.core.decide.spec import Spec
from aiops.policy.testing.surroundings import Span
from aiops.policy.testing.times import Compared


class ObjectSpec(Span):
    """An object that is there. What is written in `body` is put over what its kind has anyway.

    A workload has `replicas` that are ready unless `ready` says otherwise; it follows what a plan writes.
    """

    kind: str = Field(min_length=1, max_length=80, description="Deployment, CronJob, Node, ...")
    name: str = Field(min_length=1, max_length=253, description="its name")
    api_version: str | None = Field(None, description="of a kind that is not one of Kubernetes' own")
    namespace: str | None = Field(None, description="the policy's own; '' for what has none")
    cluster: str | None = Field(None, min_length=1, description="the one of the policy's target")
    replicas: int | None = Field(None, ge=0, le=100_000, description="of a workload; 1 where nothing is said")
    ready: int | None = Field(None, ge=0, le=100_000, description="how many are ready, whatever is written")
    labels: dict[str, str] = Field(default_factory=dict, description="its own labels")
    annotations: dict[str, str] = Field(default_factory=dict, description="its own annotations")
    body: dict[str, Any] = Field(default_factory=dict, description="anything else, such as spec.suspend of a Job")


class UseSpec(Span):
    """What one container of a pod uses, for a policy that rightsizes."""

    pod: str = Field(min_length=1, description="the pod's name")
    container: str = Field(min_length=1, description="the container's name")
    cpu: Quantity | None = Field(None, ge=0, description="cores, such as 250m")
    memory: Quantity | None = Field(None, ge=0, description="bytes, such as 300Mi")
    throttled: float | None = Field(None, ge=0, le=1, description="share of its periods")


class ObjectPattern(Spec):
    """What an object must be like."""

    kind: str = Field("Deployment", description="its kind")
    name: str = Field(description="its name")
    replicas: Compared | None = Field(None, description="spec.replicas")
    suspended: bool | None = Field(None, description="spec.suspend")
    gone: bool | None = Field(None, description="whether there is none")
    annotation: str | None = Field(None, description="the name of an annotation that it has")
