"""`SetResources` where a file in Git says the sizes: one commit in place of a patch; who follows it brings it (S4)."""

from __future__ import annotations

from collections.abc import Mapping

from aiops.core.model import RESOURCES, DeclaredSizes, Looked, Reason, SetResources, Step, Verb
from aiops.core.objects.quantities import alike, amount
from aiops.core.plans.operations.verbs import Origin

Resources = Mapping[str, Mapping[str, str]]


def declared(operation: SetResources, looked: Looked) -> DeclaredSizes | None:
    """Return what Git says of the container, None where its sizes do not stand there."""
    every = looked.sizes.get(operation.target.key, ())
    return next((one for one in every if one.container == operation.container), None)


def asked(operation: SetResources) -> dict[str, str]:
    """Return what is asked by the names that a file's values have: `requests.cpu`."""
    parts = {"requests": operation.requests, "limits": operation.limits}
    return {f"{part}.{name}": value for part, some in parts.items() for name, value in some.items()}


def says(operation: SetResources, one: DeclaredSizes) -> bool | None:
    """Return whether the branch says all that is asked, None while it cannot be read."""
    if not one.values:
        return None
    return all(alike(one.values.get(name, ""), value) for name, value in asked(operation).items())


def commit(operation: SetResources, one: DeclaredSizes, origin: Origin) -> tuple[Step, ...]:
    """Return the commit that writes what is asked over what the file says; none where it says so, or offers it.

    What was offered by a plan that is over is asked for once all the same: whoever has the branch answers that it is
    there already, and from then on it is this plan's, which takes it back when it was merged and does harm.
    """
    offers = one.values if origin.first else {**one.values, **one.offered}
    wished = asked(operation)
    if not one.values or all(alike(offers.get(name, ""), value) for name, value in wished.items()):
        return ()
    before = {name: one.values[name] for name in wished if name in one.values}
    body = {
        "repository": one.repository,
        "branch": one.branch,
        "file": one.file,
        "path": one.path,
        "field": RESOURCES,
        "container": one.container,
        "from": before,
        "to": wished,
        "origin": {"plan": origin.plan_id, "policy": origin.policy, "action": origin.key, "epoch": origin.epoch},
    }
    changes = ", ".join(f"{name} {before.get(name, 'none')} -> {value}" for name, value in sorted(wished.items()))
    step = Step(
        target=operation.target,
        subresource="",
        body=body,
        uid="",
        resource_version=one.commit,
        summary=f"{one}: {changes}",
        verb=Verb.COMMIT,
    )
    return (step,)


def refusal(operation: SetResources, one: DeclaredSizes, now: Resources) -> tuple[Reason, str] | None:
    """Return why what is asked must not be written there. now: what the cluster's template says.

    What neither the cluster nor the file says as the other does is not written over: it waits until one follows.
    """
    if one.held is not None:
        return one.held
    for name, value in asked(operation).items():
        said = one.values.get(name)
        part, _, resource = name.partition(".")
        here = now[part].get(resource, "")
        if said is None or not value:
            return Reason.UNDECLARED, f"{one} says no {name}: only what it says is changed"
        least, most = one.ranges.get(name, ("", ""))
        if (least and amount(value) < amount(least)) or (most and amount(value) > amount(most)):
            return Reason.OUT_OF_RANGE, f"{one} allows {name} {least}..{most}, and not {value}"
        if not any(alike(*pair) for pair in ((said, value), (here, value), (said, here))):
            return Reason.NOT_SYNCED, f"{one} says {name} {said}, and the cluster holds {here or 'none'}"
    return None
