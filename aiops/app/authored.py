"""Policies that are objects of an API server, read once: for commands that ask about them and run no daemon."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from aiops.app.resources import checked
from aiops.core.model import Reason
from aiops.core.policies import PolicySet
from aiops.errors import ClusterUnavailable, InvalidPolicy, NoPermission
from aiops.ports import ResourcesReading

if TYPE_CHECKING:
    from aiops.app.settings import Settings
    from aiops.policy.defaults import Defaults


def reading(settings: Settings) -> ResourcesReading:
    """Return the policies in the API of the settings' cluster; raise a PortError or a FatalError without it."""
    from aiops.app.surroundings import clusters, resources

    found = resources(settings, clusters(settings))
    if found is None:
        raise ClusterUnavailable("custom_resources.enabled is false: no policies are read from an API")
    found.start()
    try:
        return found.read()
    finally:
        found.stop(1.0)


def authored(
    found: ResourcesReading, step_s: float, defaults: Sequence[Defaults], warn: Callable[[str], None]
) -> list[PolicySet]:
    """Return each valid policy of a reading as a set; of one that is not valid nothing is in force, which is told.

    A kind of which it is not known what there is raises NoPermission or ClusterUnavailable: an answer that lacks what
    is there would be a wrong one. One that the API server does not serve has none.
    """
    for reason, why in (*found.unknown.values(), *found.stale.values()):
        if reason is not Reason.UNKNOWN_TARGET:
            raise NoPermission(why) if reason is Reason.NO_PERMISSION else ClusterUnavailable(why)
    made = []
    for resource in (found.found[key] for key in sorted(found.found)):
        try:
            made.append(checked(resource, step_s, defaults))
        except InvalidPolicy as err:
            warn(f"{'; '.join(map(str, err.problems))}: nothing is granted for it")
    return made


def together(files: PolicySet, others: Iterable[PolicySet]) -> PolicySet:
    """Return one set of all, for what does not decide by it: who claims a target twice is the daemon's to say."""
    sets = (files, *others)
    return replace(
        files,
        scaling=tuple(one for some in sets for one in some.scaling),
        templates=tuple(one for some in sets for one in some.templates),
        watches=tuple(one for some in sets for one in some.watches),
        plans=tuple(one for some in sets for one in some.plans),
        budgets=tuple(one for some in sets for one in some.budgets),
    )
