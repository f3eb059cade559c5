"""The settings, and the policies: whether they are valid, who is promoted, what acts."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from aiops.app.doctor.findings import Area, Check, Finding, fail, ok, skip, warn
from aiops.app.doctor.scene import MOST_SAID, Scene, listed
from aiops.app.promotion import Gate, Place, resolved
from aiops.app.scrape_settings import local_sources
from aiops.app.scraped_policies import refused
from aiops.app.surroundings import competes, reads_resources
from aiops.core.model import Mode
from aiops.core.planning.failover import FailoverPolicy
from aiops.core.policies import PlanPolicy, PolicySet, ScalingPolicy, WatchPolicy
from aiops.core.policies.budget import CostBudget
from aiops.errors import AiopsError, StoreUnavailable

if TYPE_CHECKING:
    from aiops.core.versions import Promotion
    from aiops.policy.checking import Checked

FILES = "policies: files"
RESOURCES = "policies: resources"


def first_checks(scene: Scene, file: Path | None) -> list[Check]:
    """Return what is to be known before anything else is looked at."""
    return [
        Check(area=Area.SETTINGS, name="settings", look=lambda: _settings(scene, file)),
        Check(area=Area.POLICIES, name=FILES, look=lambda: _files(scene)),
        Check(area=Area.POLICIES, name=RESOURCES, look=lambda: _resources(scene)),
    ]


def second_checks(scene: Scene) -> list[Check]:
    """Return what needs the policies, and others need to know."""
    return [
        Check(area=Area.POLICIES, name="policies: promotions", look=lambda: _promotions(scene)),
        Check(area=Area.POLICIES, name="policies: templates", look=lambda: _templates(scene)),
        Check(area=Area.POLICIES, name="policies: witnesses", look=lambda: _witnesses(scene)),
    ]


def _settings(scene: Scene, file: Path | None) -> Iterator[Finding]:
    settings = scene.settings
    world = "a simulated world" if settings.simulation is not None else "real metrics"
    where = "no file: the defaults" if file is None else str(file)
    from_environment = sorted(name for name in os.environ if name.startswith("AIOPS_") and "__" in name)
    more = f", with {listed(from_environment)} of the environment" if from_environment else ""
    yield ok("settings", f"{where}{more}: mode {settings.mode.value}, a turn each {settings.step:g} s, {world}")
    if settings.simulation is None and settings.prometheus is None and settings.scrape is None:
        fix = "set prometheus.url, or rehearse with config/demo.yaml"
        yield fail("settings: prometheus", "prometheus.url is not set: the daemon does not start", fix)
    unknown = sorted(set(settings.scope.namespaces) & set(settings.scope.protected_namespaces))
    if unknown:
        fix = "leave them out of one of the two"
        yield warn("settings: scope", f"{listed(unknown)}: in scope.namespaces, and protected", fix)


def _files(scene: Scene) -> Iterator[Finding]:
    from aiops.policy import check

    settings = scene.settings
    optional = reads_resources(settings)
    paths = [path for path in settings.policies if path.exists()] if optional else list(settings.policies)
    found = check(paths, settings.step, may_be_empty=optional)
    policies = found.policies if found.policies is not None else _made(found)
    scene.policies = scene.authored = policies
    errors = (*found.errors, *refused(found.made, local_sources(settings)))
    for problem in errors[:MOST_SAID]:
        yield fail(FILES, str(problem), "`aiops policy validate` says more; the daemon takes all of the files or none")
    if len(errors) > MOST_SAID:
        yield fail(FILES, f"{len(errors) - MOST_SAID} more problems", "`aiops policy validate` lists them")
    if not errors:
        kinds = Counter(_kind(one) for one in policies.every)
        told = ", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items())) or "there are none"
        yield ok(FILES, f"{listed(map(str, paths))}: {told}, all valid")


def _kind(policy: object) -> str:
    match policy:
        case ScalingPolicy(selection=None):
            return "ScalingPolicy"
        case ScalingPolicy():
            return "ScalingPolicy with a selector"
        case WatchPolicy():
            return "WatchPolicy"
        case CostBudget():
            return "CostBudget"
        case PlanPolicy(key=key):
            return key.partition("/")[0]
        case _:
            return type(policy).__name__


def _made(found: Checked) -> PolicySet:
    """Return the policies that are valid, for what can be looked at all the same."""
    every = [policy for _, policy in found.made]
    return PolicySet(
        digest="",
        scaling=tuple(one for one in every if isinstance(one, ScalingPolicy) and one.selection is None),
        templates=tuple(one for one in every if isinstance(one, ScalingPolicy) and one.selection is not None),
        watches=tuple(one for one in every if isinstance(one, WatchPolicy)),
        plans=tuple(one for one in every if isinstance(one, PlanPolicy)),
        budgets=tuple(one for one in every if isinstance(one, CostBudget)),
    )


def _resources(scene: Scene) -> Iterator[Finding]:
    """Read the policies that are objects of the API, where the daemon would."""
    if not reads_resources(scene.settings):
        yield skip(RESOURCES, "custom_resources: none are read (enabled: auto reads them in the cluster itself)")
        return
    from aiops.app.authored import authored, reading, together

    refused: list[str] = []
    sets = authored(reading(scene.settings), scene.settings.step, (), refused.append)
    for why in refused[:MOST_SAID]:
        yield fail(RESOURCES, why.removesuffix(": nothing is granted for it"), "`kubectl get` shows it under VALID")
    with scene.lock:
        scene.policies = scene.authored = together(scene.policies, sets)
    yield ok(RESOURCES, f"{len(sets)} policies of the API are valid")


# -- who is promoted ---------------------------------------------------------------------------------------


def _promotions(scene: Scene) -> Iterator[Finding]:
    settings = scene.settings
    name = "policies: promotions"
    unasked = settings.simulation is not None and "promotion" not in settings.model_fields_set
    gate = Gate.FILE if unasked else Gate(settings.promotion.by)
    try:
        words = _words(scene) if gate is Gate.EVIDENCE else ()
    except AiopsError as err:
        yield skip(name, f"the store cannot say who is promoted: {err}")
        return
    found = resolved(scene.authored, words, gate)
    scene.reach = {key: one.mode for key, one in found.standings.items()}
    for key, why in list(found.held.items())[:MOST_SAID]:
        yield warn(f"policy {key}", f"held: {why}", "see docs/promotion.md")
    waiting = [one for one in found.standings.values() if one.place in (Place.UNPROMOTED, Place.EDITED)]
    for one in waiting[:MOST_SAID]:
        fix = f"aiops policy promote {one.policy.partition('/')[2]}, once there is evidence"
        notice = one.notice.partition("; promote with")[0] or "is not promoted"
        yield warn(f"policy {one.policy}", f"asks for {one.asked.value}: {notice}", fix)
    if len(waiting) > MOST_SAID:
        yield warn(name, f"{len(waiting) - MOST_SAID} more are not promoted", "`aiops policy diff` lists them")
    yield _acting(scene, gate)


def _words(scene: Scene) -> tuple[Promotion, ...]:
    from aiops.adapters.store.peek import peeked

    found = peeked(scene.settings.store.url)
    if found is None or found.revision is None:
        return ()
    if found.revision != found.known:
        raise StoreUnavailable(f"its schema is {found.revision}, and not {found.known}")
    return found.promotions


def _acting(scene: Scene, gate: Gate) -> Finding:
    authored = scene.authored
    every: list[ScalingPolicy | PlanPolicy] = [*authored.scaling, *authored.templates, *authored.plans]
    acting = [one.key for one in every if scene.mode(one).rank >= Mode.APPROVE.rank]
    how = "their file" if gate is Gate.FILE else "promotion"
    ceiling = f"the ceiling is {scene.settings.mode.value}"
    if not acting:
        return ok("policies: what acts", f"nothing acts; {ceiling}, policies act by {how}")
    return ok("policies: what acts", f"{len(acting)} of {len(every)} act ({listed(acting)}); {ceiling}")


# -- members of templates ----------------------------------------------------------------------------------


def _templates(scene: Scene) -> Iterator[Finding]:
    name = "policies: templates"
    templates = scene.authored.templates
    if not templates:
        return
    from aiops.app.surroundings import surroundings
    from aiops.policy.expansion import Seen, expanded

    world = surroundings(scene.settings)
    try:
        lists = {one.key: world.roster.listed(one.target, world.present()) for one in templates}
    finally:
        world.stop(1.0)
    found = expanded(replace(scene.authored, scaling=()), {}, Seen(lists=lists, now=scene.now()))
    scene.members = found.policies.scaling
    for one in templates:
        who = found.memberships[one.key].members
        left = found.left_out.get(one.key, {})
        if who:
            yield ok(f"policy {one.key}", f"selects {listed(who)}")
        else:
            fix = "look at the selector and the labels: `kubectl get deploy --show-labels`"
            yield warn(f"policy {one.key}", "selects no workload", fix)
        for member, why in list(left.items())[:MOST_SAID]:
            yield warn(f"{name}: {member}", f"{one.key} leaves it out: {why}", "see docs/selectors.md")


# -- where the Lease lies ----------------------------------------------------------------------------------


def _witnesses(scene: Scene) -> Iterator[Finding]:
    """Find failovers whose witness is not where the Lease lies: it is what makes a move without a person safe (S8)."""
    name, settings = "policies: witnesses", scene.settings
    named = [one for one in scene.policies.plans if isinstance(one, FailoverPolicy) and one.witness]
    if not named or settings.simulation is not None:
        return
    holds = (settings.lease.cluster or min(scene.clusters, default="")) if competes(settings) else ""
    where = f"the Lease lies in {holds}" if holds else "this daemon takes part in no election"
    elsewhere = [one for one in named if one.witness != holds]
    for one in elsewhere:
        what = f"{one.key}: its witness is {one.witness}, and {where}: who acts is not decided outside of its sites"
        yield fail(name, what, f"lease.cluster: {one.witness}, or no witness: then a person is asked")
    if not elsewhere:
        yield ok(name, f"{where}, as {len(named)} policies have it")
