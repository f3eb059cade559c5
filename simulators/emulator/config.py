"""What the emulator is told, in YAML or JSON: where the cluster is, which workloads there are and who calls them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from aiops.core.decide.quantities import Duration, Quantity, Ratio
from aiops.core.decide.spec import Spec
from aiops.errors import InvalidContent
from aiops.policy.document import documents
from simulators.emulator.selectors import Selector
from simulators.scenario import LoadSpec

Port = Annotated[int, Field(ge=0, le=65535)]
Rate = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class ConstantSpec(Spec):
    """The same load for ever, until it is set anew."""

    kind: Literal["constant"]
    rps: Rate


class RampSpec(Spec):
    """Load that goes from one level to another, and stays."""

    kind: Literal["ramp"]
    begin: Rate = Field(alias="from")
    end: Rate = Field(alias="to")
    after: Duration = 0.0
    over: Duration = Field(gt=0)


class ShapedSpec(LoadSpec):
    """A scenario's load (base, day, weekend, noise, bursts, or a csv on the calendar). speedup: model time per time."""

    kind: Literal["shaped"]
    speedup: float = Field(1.0, gt=0)


class TraceSpec(Spec):
    """A recorded trace, `seconds,rps` or `timestamp,rps`; it begins with the emulator. speedup: trace time per time."""

    kind: Literal["trace"]
    file: str
    speedup: float = Field(1.0, gt=0)
    scale: float = Field(1.0, ge=0)
    repeat: bool = True


def _load(value: Any) -> Any:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return {"kind": "constant", "rps": value} if is_number else value


AnyLoad = Annotated[
    ConstantSpec | RampSpec | ShapedSpec | TraceSpec, Field(discriminator="kind"), BeforeValidator(_load)
]


def _selector(value: Any) -> Any:
    return Selector.parse(value) if isinstance(value, str) else value


class WorkloadSpec(Spec):
    """One service and its pods. selector: labels as kubectl takes them."""

    namespace: str = Field(min_length=1)
    service: str = Field(min_length=1)
    selector: Annotated[Selector, BeforeValidator(_selector)]
    capacity: float = Field(60.0, gt=0, description="requests per second that one pod serves at most")
    service_time: Duration = Field(0.05, gt=0)
    timeout: Duration = Field(2.0, gt=0)
    error_ratio: Ratio = 0.0
    cpu_request: Quantity = Field(0.1, gt=0, description="cores, of a container that requests none")
    memory: Quantity = Field(2.0**26, ge=0, description="bytes that each container uses")
    load: AnyLoad = ConstantSpec(kind="constant", rps=0.0)

    @property
    def key(self) -> str:
        """Return `namespace/service`."""
        return f"{self.namespace}/{self.service}"


class RouteSpec(Spec):
    """An HTTPRoute."""

    namespace: str = Field(min_length=1)
    name: str = Field(min_length=1)


class GroupSpec(Spec):
    """Services that share one load: an HTTPRoute's first rule splits it by its weights."""

    namespace: str = Field(min_length=1)
    name: str = Field(min_length=1)
    route: RouteSpec
    load: AnyLoad = ConstantSpec(kind="constant", rps=0.0)

    @property
    def key(self) -> str:
        """Return `namespace/name`."""
        return f"{self.namespace}/{self.name}"


class KubernetesSpec(Spec):
    """Where the cluster is. context: of the kubeconfig, its current one when empty."""

    kubeconfig: str = Field(min_length=1)
    context: str = ""


class ListenSpec(Spec):
    """Ports of 127.0.0.1; 0 takes any that is free."""

    metrics: Port = 0
    control: Port = 0
    kubernetes_metrics: Port = 0


class TlsSpec(Spec):
    """Certificate files of metrics.k8s.io. clientCa: whose certificates callers must show, anybody's when empty."""

    certificate: str
    key: str
    client_ca: str = ""


class EmulatorConfig(Spec):
    """A whole configuration. Without `tls`, metrics.k8s.io is not served. window: over which CPU use is averaged."""

    kubernetes: KubernetesSpec
    listen: ListenSpec = ListenSpec()
    tls: TlsSpec | None = None
    step: Duration = Field(0.5, gt=0, le=1.0)
    window: Duration = Field(10.0, ge=1.0, le=300.0)
    seed: int = 1
    workloads: tuple[WorkloadSpec, ...]
    groups: tuple[GroupSpec, ...] = ()

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        seen: set[str] = set()
        if not self.workloads:
            raise ValueError("there are no workloads")
        for key in (*(one.key for one in self.workloads), *(one.key for one in self.groups)):
            if key in seen:
                raise ValueError(f"{key} is there twice among workloads and groups")
            seen.add(key)
        return self


def read(path: Path) -> EmulatorConfig:
    """Return the configuration of a file; raise InvalidInput with line, column and field."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as err:
        raise InvalidContent(f"{path}:0:0: cannot be read: {err.strerror}") from err
    found, problems = documents(text, str(path))
    if problems or len(found) != 1:
        raise InvalidContent("\n".join(map(str, problems)) or f"{path}:1:1: a configuration is one document")
    try:
        return EmulatorConfig.model_validate(found[0].data)
    except ValidationError as err:
        lines = [str(found[0].problem(tuple(e["loc"]), e["msg"])) for e in err.errors(include_url=False)]
        raise InvalidContent("\n".join(lines)) from err
