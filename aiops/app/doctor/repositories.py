"""What stands in Git: is each repository reached, is the value of each target found in it. Nothing is pushed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from aiops.app.doctor.findings import Area, Check, Finding, fail, failed, ok, skip, warn
from aiops.app.doctor.scene import MOST_SAID, Scene
from aiops.core.model import RESOURCES, Declared, DeclaredSizes, Reason, TargetRef
from aiops.errors import ConfigurationError

_FIXES = {
    Reason.REPOSITORY_UNAVAILABLE: "look at git.repositories: url, branch, and the way there from here",
    Reason.NO_PERMISSION: "look at username, password_file or bearer_token_file; the right to read is needed, too",
    Reason.UNDECLARED: "look at git.targets: file, format, path and object; and at the comment beside the value",
}


def checks(scene: Scene) -> list[Check]:
    """Return the check of the repositories; none where nothing stands in Git."""
    if not scene.settings.git.targets:
        return []
    return [Check(area=Area.GIT, name="git", look=lambda: _repositories(scene), reaches=True)]


def _repositories(scene: Scene) -> Iterator[Finding]:
    from aiops.app.git_settings import repositories

    targets = sorted({one.target for one in (*scene.policies.scaling, *scene.members)})
    with tempfile.TemporaryDirectory(prefix="aiops-doctor-") as folder:
        # the daemon's own folder is the daemon's: what is looked at here is fetched anew, and forgotten
        named = {
            name: one.model_copy(update={"depth": 1, "timeout": min(one.timeout, scene.timeout_s)})
            for name, one in scene.settings.git.repositories.items()
        }
        settings = scene.settings.git.model_copy(update={"folder": Path(folder), "repositories": named})
        try:
            made = repositories(settings)
        except ConfigurationError as err:
            yield failed("git", err, "mount the file, or leave it out")
            return
        if made is None:
            return
        try:
            found = made.declared(targets, scene.now())
            sizes = made.sizes(_sized(scene), scene.now())
        finally:
            made.stop(1.0)
    for _, some in sorted(sizes.items()):
        yield from map(_of_sizes, some)
    if not found and not sizes:
        yield skip("git", "no target of a policy fits git.targets")
    placed = [(target, one) for target in targets for one in found.get(target.key, ())]
    for target, one in placed[:MOST_SAID]:
        yield _of(target, one)
    if len(placed) > MOST_SAID:
        yield skip("git", f"{len(placed) - MOST_SAID} more values were looked at, and are not told one by one")


def _sized(scene: Scene) -> list[TargetRef]:
    """Return the workloads that the settings name whose sizes stand in Git; who a pattern fits only a cluster knows."""
    named = (one for one in scene.settings.git.targets if one.field == RESOURCES and not set("*?[") & set(one.match))
    found = []
    for one in named:
        namespace, _, name = one.match.partition("/")
        found.append(TargetRef(cluster=one.cluster, namespace=namespace, kind=one.kind, name=name))
    return list(dict.fromkeys(found))


def _of_sizes(one: DeclaredSizes) -> Finding:
    name = f"git: sizes of {one.container} in {one.file}"
    if one.held is not None:
        reason, why = one.held
        return fail(name, why, _FIXES.get(reason, "see docs/gitops.md"))
    return ok(name, f"{one} says {', '.join(f'{key} {value}' for key, value in sorted(one.values.items()))}")


def _of(target: TargetRef, one: Declared) -> Finding:
    name = f"git: {target}"
    if one.held is not None:
        reason, why = one.held
        return fail(name, why, _FIXES.get(reason, "see docs/gitops.md"))
    span = "" if one.low is None and one.high is None else f", may be {one.low or 0} to {one.high or 'any number'}"
    said = f"{one} says {one.value}{span}"
    if one.low is not None and one.value is not None and one.value < one.low:
        return warn(name, f"{said}: it is below its own range", "raise the value, or widen the range")
    return ok(name, said)
