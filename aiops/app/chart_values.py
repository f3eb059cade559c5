"""Values of the chart: policies, with the roles that they need, so that both are installed together or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from aiops.app.settings import LeaseSettings
from aiops.core.model import Mode
from aiops.errors import InvalidContent

PLANS = ":plans"
"""The end of the names of roles for policies of plans; those for scaling policies have none."""


def values(files: Mapping[str, str], objects: Iterable[Mapping[str, Any]], lease: LeaseSettings, mode: Mode) -> Any:
    """Return `policies` and `rbac` of the chart's values. files: texts by name. objects: as `granting.roles` has them.

    What the daemon needs without any policy is not among them: the chart grants that itself.
    """
    from aiops.adapters.kubernetes import instance_of

    instance = instance_of(lease.namespace, lease.name)
    chosen = [_role(one, suffix) for one in objects if (suffix := _suffix(one, instance)) is not None]
    return {"policies": dict(files), "rbac": {"mode": mode.value, "roles": chosen}}


def texts(files: Sequence[Path]) -> dict[str, str]:
    """Return what a ConfigMap holds of policy files, by their names; raise InvalidInput where two have one name."""
    found: dict[str, str] = {}
    for file in files:
        if file.name in found:
            raise InvalidContent(f"{file}: another file has this name, too: a ConfigMap holds one of each")
        found[file.name] = file.read_text(encoding="utf-8")
    return found


def _suffix(one: Mapping[str, Any], instance: str) -> str | None:
    """Return the end of a role's name when policies need it, None for everything else."""
    kind, name = str(one["kind"]), str(one["metadata"]["name"])
    if kind == "Role" and name == instance:
        return ""
    return PLANS if kind in ("Role", "ClusterRole") and name == f"{instance}{PLANS}" else None


def _role(one: Mapping[str, Any], suffix: str) -> dict[str, Any]:
    namespace = one["metadata"].get("namespace")
    return {
        **({"suffix": suffix} if suffix else {}),
        **({"namespace": namespace} if namespace else {}),
        "rules": one["rules"],
    }
