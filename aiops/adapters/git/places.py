"""Where a field of a target stands: in which repository, which file, and how it is found in it."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from aiops.core.model import FLOOR, RESOURCES, TargetRef

HPA = "HorizontalPodAutoscaler"
CONTAINERS = "spec.template.spec.containers"


class Format(StrEnum):
    """What kind of file it is."""

    KUSTOMIZE = "kustomize"
    HELM = "helm"
    MANIFEST = "manifest"
    TFVARS = "tfvars"


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """For the targets that match: where their field stands. `{namespace}` and `{name}` in file and object are theirs.

    match: `NAMESPACE/NAME`, with shell patterns. object: the name of the object in the file, where it is not the
    target's; of minReplicas the HPA's. path: of the value, dots between its parts. low, high: the range in any case.
    container: whose requests and limits it says, of the field `resources`; path is then that of the mapping with both,
    and where objects are known that of the list of containers.
    """

    match: str
    repository: str
    file: str
    format: Format
    field: str
    cluster: str = "default"
    kind: str = "Deployment"
    path: str = ""
    object_kind: str = ""
    object: str = "{name}"
    container: str = "{name}"
    low: int | None = None
    high: int | None = None

    def fits(self, target: TargetRef) -> bool:
        """Return whether it says where the field of a target stands."""
        same = (self.cluster, self.kind) == (target.cluster, target.kind)
        return same and fnmatch.fnmatchcase(str(target), self.match)

    def place(self, target: TargetRef) -> Place:
        """Return the place for one target."""
        kind = self.object_kind or (HPA if self.field == FLOOR else self.kind)
        return Place(
            file=_filled(self.file, target),
            format=self.format,
            field=self.field,
            path=self.path or (CONTAINERS if self.field == RESOURCES else f"spec.{self.field}"),
            container=_filled(self.container, target) if self.field == RESOURCES else "",
            kind=kind,
            name=_filled(self.object, target),
            low=self.low,
            high=self.high,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One value in one file, or the sizes of one container: then it is named.

    kind, name: of the object that it belongs to, for formats that know objects.
    """

    file: str
    format: Format
    field: str
    path: str
    kind: str
    name: str
    low: int | None = None
    high: int | None = None
    container: str = ""


def sized(placements: Sequence[Placement], target: TargetRef) -> tuple[Placement, ...]:
    """Return where the requests and limits of a target's containers stand: of each container the first that fits."""
    found: dict[str, Placement] = {}
    for one in placements:
        if one.field == RESOURCES and one.fits(target):
            found.setdefault(_filled(one.container, target), one)
    return tuple(found.values())


def placement(placements: Sequence[Placement], target: TargetRef, field: str) -> Placement | None:
    """Return the first that says where a field of a target stands."""
    return next((one for one in placements if one.field == field and one.fits(target)), None)


def parts(path: str) -> tuple[str | int, ...]:
    r"""Return the steps of a path: names between dots, `[2]` for an entry of a list, `\.` for a dot in a name.

    >>> parts("web.autoscaling.pools[0].min\\.size")
    ('web', 'autoscaling', 'pools', 0, 'min.size')
    """
    found: list[str | int] = []
    for name in re.split(r"(?<!\\)\.", path):
        head, *entries = re.split(r"\[(\d+)\]", name)
        if head:
            found.append(head.replace("\\.", "."))
        found += [int(one) for one in entries if one]
    return tuple(found)


def _filled(text: str, target: TargetRef) -> str:
    return text.replace("{namespace}", target.namespace).replace("{name}", target.name)
