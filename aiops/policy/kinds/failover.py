"""FailoverPolicy: what only several of its fields together can get wrong, and the compiled policy."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

from aiops.core.decide.failover.spec import FailoverSpec, SiteSpec
from aiops.core.ids import digest
from aiops.core.model import TargetRef, TrafficLever, Wanted
from aiops.core.planning.failover import (
    SERVED,
    Failback,
    FailoverPolicy,
    Site,
    Steps,
    Traffic,
    VantagePoint,
    Watching,
    lag,
    users,
    volume,
)
from aiops.core.policies import SignalQuery, SignalSpec
from aiops.core.versions import spec_hash
from aiops.policy import freezes as freezes_of
from aiops.policy import promql
from aiops.policy.compile import Envelope, Kind, Problems, did_you_mean
from aiops.policy.document import Path
from aiops.policy.lint.trees import facts
from aiops.policy.resource import AGE, DECIDING, DECISION, MODE, VALID, VERDICT, WHY, Column, Resource

LEVERS: Mapping[TrafficLever, tuple[str, str]] = {
    TrafficLever.HTTP_ROUTE: ("gateway.networking.k8s.io/v1", "HTTPRoute"),
    TrafficLever.SERVICE_SELECTOR: ("v1", "Service"),
    TrafficLever.INGRESS_CANARY: ("networking.k8s.io/v1", "Ingress"),
    TrafficLever.WEIGHT_ANNOTATION: ("v1", "Service"),
}
"""The object that each lever is usual with."""

INSTANT_S = 5.0
"""The window of queries that look back over none: that of a tick."""

SCRAPE_S = 5.0
"""How often probes are scraped where nobody says so."""

_PLACEHOLDER = re.compile(r"\$\(\s*([^()]*?)\s*\)")
_PARTS = {f"site.{part}": part for part in ("name", "cluster", "zone", "backend", "region")}
"""What placeholders stand for: fields of a site."""

_CUSTOM_RESOURCE = "crd:"
"""How the origin of a policy begins that was not read from an admin's files."""


def compiled(envelope: Envelope, spec: FailoverSpec, document: str, problems: Problems) -> FailoverPolicy | None:
    """Return the compiled policy, None when problems with errors were noted."""
    _sites(spec, problems)
    _vantage_points(spec, problems)
    _traffic(envelope, spec, problems)
    _preconditions(spec, problems)
    _steps(spec, problems)
    signals = _signals(envelope.key, spec, problems)
    freezes = [freezes_of.freeze(number, one, problems) for number, one in enumerate(spec.freezes)]
    if problems.fatal:
        return None
    sites = tuple(_site(envelope, one) for one in spec.sites)
    traffic = Traffic(lever=spec.traffic.lever, object=_object(envelope, spec), rule=spec.traffic.rule)
    return FailoverPolicy(
        key=envelope.key,
        digest=digest(document),
        document=document,
        origin=problems.document.origin,
        mode=spec.mode,
        target=traffic.object,
        signals=signals,
        freezes=tuple(one for one in freezes if one is not None),
        approvers=spec.approvers,
        ask_for_s=spec.ask_for,
        wanted=Wanted(objects=(traffic.object,)),
        workloads=tuple(one.target for one in sites),
        spec_hash=spec_hash(document),
        primary=spec.primary,
        witness=spec.witness,
        sites=sites,
        traffic=traffic,
        watching=_watching(spec),
        shift=Steps(percents=spec.shift.steps, pause_s=spec.shift.pause),
        failback=Failback(
            automatic=spec.failback.automatic,
            after_s=spec.failback.after,
            steps=Steps(percents=spec.failback.steps, pause_s=spec.failback.pause),
        ),
        rpo_s=spec.preconditions.rpo,
        allowed_regions=tuple(sorted(spec.preconditions.allowed_regions)),
        stateful=spec.stateful,
        override_s=spec.manual_override,
    )


# -- values --------------------------------------------------------------------------------------------


def _site(envelope: Envelope, spec: SiteSpec) -> Site:
    target = TargetRef(
        cluster=spec.cluster,
        namespace=envelope.namespace,
        api_version=spec.target.api_version,
        kind=spec.target.kind,
        name=spec.target.name,
    )
    return Site(
        name=spec.name,
        cluster=spec.cluster,
        region=spec.region,
        backend=spec.backend,
        target=target,
        standby_replicas=spec.standby.replicas,
        prepares=spec.standby.prepare,
        zone=spec.zone,
    )


def _object(envelope: Envelope, spec: FailoverSpec) -> TargetRef:
    api_version, kind = LEVERS[spec.traffic.lever]
    return TargetRef(
        cluster=spec.traffic.cluster,
        namespace=spec.traffic.namespace or envelope.namespace,
        api_version=spec.traffic.api_version or api_version,
        kind=spec.traffic.kind or kind,
        name=spec.traffic.name,
    )


def _watching(spec: FailoverSpec) -> Watching:
    health = spec.health
    longest = max(one.range_s for text in (health.users.query, health.users.volume) for one in facts(text).selectors)
    users_spec = health.users
    guessed = longest > 0.0 and users_spec.window is None and users_spec.scrape is None
    return Watching(
        vantage_points=tuple(
            VantagePoint(name=one.name, source=one.source, site=one.site) for one in health.vantage_points
        ),
        bad_above_ratio=health.bad_above,
        window_s=users_spec.window or max(longest - (users_spec.scrape or SCRAPE_S), INSTANT_S),
        scrape_s=SCRAPE_S if guessed else math.inf,
        max_age_s=health.users.max_age,
        quorum=health.quorum,
        fail_for_s=health.fail_for,
        well_for_s=health.well_for,
    )


# -- queries -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Asked:
    """A query as it is written. apart: its answers must differ from site to site."""

    path: Path
    text: str
    source: str
    unit: str
    max_age_s: float
    apart: bool = True


def _signals(key: str, spec: FailoverSpec, problems: Problems) -> Mapping[str, SignalSpec]:
    """Return what is asked for each site: at each vantage point how users fare, and how far its copy lags behind."""
    found: dict[str, SignalSpec] = {}
    asked, path = spec.health.users, ("spec", "health", "users")
    names: tuple[tuple[str, Callable[[str, str], str], str], ...] = (("query", users, "1"), ("volume", volume, "1/s"))
    for part, name_of, unit in names:
        for point in spec.health.vantage_points:
            one = _Asked((*path, part), getattr(asked, part), point.source, unit, asked.max_age)
            if not _checked(one, spec.sites, problems):
                break
            for site in spec.sites:
                name = name_of(site.name, point.name)
                found[name] = _signal(key, name, one, site)
    served = spec.health.served
    if served is not None:
        whole: Path = ("spec", "health", "served", "query")
        one = _Asked(whole, served.query, served.source, "1", served.max_age, apart=False)
        if _checked(one, spec.sites, problems):
            found[SERVED] = _signal(key, SERVED, one, spec.sites[0])
    said = spec.preconditions.replication_lag
    if said is not None:
        place: Path = ("spec", "preconditions", "replicationLag", "query")
        one = _Asked(place, said.query, said.source, "s", said.max_age, apart=len(spec.sites) > 2)
        if _checked(one, spec.sites, problems):
            found.update({lag(site.name): _signal(key, lag(site.name), one, site) for site in spec.sites})
    return found


def _checked(one: _Asked, sites: Sequence[SiteSpec], problems: Problems) -> bool:
    """Note what is wrong with a query, and return whether nothing is."""
    if problems.attempt(one.path, lambda: promql.checked(one.text), "bad-promql") is None:
        return False
    used = _PLACEHOLDER.findall(one.text)
    for name in used:
        if name not in _PARTS:
            known = ", ".join(f"$({known})" for known in _PARTS)
            problems.add(one.path, f"$({name}) is no placeholder; there are {known}", code="bad-placeholder")
            return False
        empty = next((site.name for site in sites if not getattr(site, _PARTS[name])), "")
        if empty:
            message = f"$({name}) would be empty for site {empty}, which says no {_PARTS[name]}"
            problems.add(one.path, message, code="bad-placeholder")
            return False
    return not one.apart or _told_apart(one, sites, problems)


def _told_apart(one: _Asked, sites: Sequence[SiteSpec], problems: Problems) -> bool:
    """Note which sites get one answer, and return whether none do."""
    names: dict[str, str] = {}
    for site in sites:
        other = names.setdefault(_filled(one.text, site), site.name)
        if other != site.name:
            named = _PLACEHOLDER.search(one.text) is not None
            every = f"tells site {site.name} from {other} by nothing: both" if named else "names no site: every site"
            hint = 'a matcher such as site="$(site.name)"'
            problems.add(one.path, f"the query {every} would get one answer", hint=hint, code="same-for-all")
            return False
    return True


def _filled(text: str, site: SiteSpec) -> str:
    # the values were checked: none of them can end a matcher's value (S10)
    return _PLACEHOLDER.sub(lambda found: str(getattr(site, _PARTS[found.group(1)])), text)


def _signal(key: str, name: str, one: _Asked, site: SiteSpec) -> SignalSpec:
    expr = _filled(one.text, site)
    checked = promql.checked(expr)
    query = SignalQuery(
        policy=key,
        name=name,
        expr=expr,
        age_exprs=checked.companions.age,
        coverage_exprs=checked.companions.coverage,
        up_exprs=(),
        source=one.source,
    )
    return SignalSpec(query=query, unit=one.unit, max_age_s=one.max_age_s)


# -- what several fields get wrong together ------------------------------------------------------------


def _sites(spec: FailoverSpec, problems: Problems) -> None:
    for part in ("name", "backend"):
        said = [getattr(one, part) for one in spec.sites]
        _once(said, partial(_of_site, part), f"site with this {part}", problems)
    for number, one in enumerate(spec.sites):
        for other in spec.sites[:number]:
            if other.cluster == one.cluster:
                _zones(other, one, number, problems)
    names = [one.name for one in spec.sites]
    if spec.primary not in names:
        _unknown(spec.primary, names, ("spec", "primary"), problems)
    within = [one.name for one in spec.sites if one.cluster == spec.witness]
    if spec.witness and (within or spec.witness in names):
        message = f"{spec.witness} is a site: a witness lies outside of all of them, or it fails with one (S8)"
        if len(within) > 1:
            message = f"{spec.witness} is the cluster of {', '.join(within)}: it is no third place (S8)"
        hint = "a third cluster, or none: then a person is asked"
        problems.add(("spec", "witness"), message, hint=hint, code="bad-witness")


def _zones(other: SiteSpec, one: SiteSpec, number: int, problems: Problems) -> None:
    """Note what keeps two sites of one cluster from being two zones of it. number: of `one`."""
    path: Path = ("spec", "sites", number)
    if not (one.zone and other.zone):
        message = f"there is another site with this cluster: {one.cluster}"
        hint = "the zone of each, where they are zones of one cluster"
        problems.add((*path, "cluster"), message, hint=hint, code="duplicate-name")
    elif one.zone == other.zone:
        message = f"there is another site with this zone of {one.cluster}: {one.zone}"
        problems.add((*path, "zone"), message, code="duplicate-name")
    if one.zone and (one.target.kind, one.target.name) == (other.target.kind, other.target.name):
        message = f"{one.target.kind} {one.target.name} is that of site {other.name} of {one.cluster}, too"
        hint = "a workload in each zone, bound to it"
        problems.add((*path, "target", "name"), message, hint=hint, code="duplicate-name")


def _vantage_points(spec: FailoverSpec, problems: Problems) -> None:
    health, names = spec.health, [one.name for one in spec.sites]
    path: Path = ("spec", "health", "vantagePoints")
    said = [one.name for one in health.vantage_points]
    _once(said, lambda number: (*path, number, "name"), "vantage point with this name", problems)
    for number, one in enumerate(health.vantage_points):
        if one.site and one.site not in names:
            _unknown(one.site, names, (*path, number, "site"), problems)
    for site in names:
        outside = [one for one in health.vantage_points if one.site != site]
        if len(outside) < health.quorum:
            message = f"only {len(outside)} vantage points lie outside of {site}: {health.quorum} can never agree on it"
            hint = "at least two vantage points outside of every site (S8)"
            problems.add(("spec", "health", "quorum"), message, hint=hint, code="bad-quorum")
            return


def _traffic(envelope: Envelope, spec: FailoverSpec, problems: Problems) -> None:
    traffic, path = spec.traffic, ("spec", "traffic")
    inside = [one.name for one in spec.sites if one.cluster == traffic.cluster]
    if inside and len(inside) < len(spec.sites):
        message = f"cluster {traffic.cluster} is that of site {inside[0]}: the lever would fail with it (S8)"
        hint = "an object in a third cluster; in a site's only where all sites are zones of it"
        problems.add((*path, "cluster"), message, hint=hint, code="lever-inside")
    foreign = traffic.namespace not in (None, envelope.namespace)
    if foreign and problems.document.origin.startswith(_CUSTOM_RESOURCE):
        message = f"a policy in the API reaches only its own namespace {envelope.namespace!r} (S3)"
        problems.add((*path, "namespace"), message, code="foreign-namespace")
    if traffic.lever is TrafficLever.INGRESS_CANARY and len(spec.sites) != 2:
        message = "a canary Ingress shares traffic between two backends, the main one and the canary's"
        problems.add((*path, "lever"), message, hint="http-route knows more than two", code="bad-lever")
    if traffic.rule and traffic.lever is not TrafficLever.HTTP_ROUTE:
        problems.add((*path, "rule"), "only an HTTPRoute has rules", code="bad-lever")


def _preconditions(spec: FailoverSpec, problems: Problems) -> None:
    said, path = spec.preconditions, ("spec", "preconditions")
    if said.rpo is not None and said.replication_lag is None:
        message = "an rpo says nothing without replicationLag, which is compared with it"
        problems.add((*path, "rpo"), message, code="bad-rpo")
    if said.replication_lag is not None and said.rpo is None:
        message = "replicationLag is compared with nothing"
        problems.add((*path, "replicationLag"), message, hint="rpo: the most that may be lost", code="bad-rpo")
    if not said.allowed_regions:
        return
    for number, one in enumerate(spec.sites):
        if not one.region:
            message = "with allowedRegions each site says in which region it lies"
            problems.add(("spec", "sites", number), message, code="bad-region")
        elif one.name == spec.primary and one.region not in said.allowed_regions:
            hint = did_you_mean(one.region, said.allowed_regions)
            message = f"region {one.region} of the primary is none of the allowed ones"
            problems.add(("spec", "sites", number, "region"), message, hint=hint, code="bad-region")
    if not any(one.region in said.allowed_regions for one in spec.sites if one.name != spec.primary):
        message = "no site but the primary lies in an allowed region: there is nowhere to go"
        problems.add((*path, "allowedRegions"), message, code="bad-region")


def _steps(spec: FailoverSpec, problems: Problems) -> None:
    for part, steps in (("shift", spec.shift.steps), ("failback", spec.failback.steps)):
        path: Path = ("spec", part, "steps")
        rising = all(one < other for one, other in pairwise(steps))
        if not rising or steps[-1] != 100:
            said = ", ".join(map(str, steps))
            message = f"{said}: steps rise, each above the one before, to 100"
            problems.add(path, message, hint="50, 100", code="bad-steps")
        elif spec.traffic.lever is TrafficLever.SERVICE_SELECTOR and steps != (100,):
            message = "a Service's selector sends everything to one backend"
            problems.add(path, message, hint="[100], or another lever", code="bad-steps")
    if spec.stateful and spec.failback.automatic:
        message = "what keeps data goes home when a person says so (S8)"
        problems.add(("spec", "failback", "automatic"), message, hint="automatic: false", code="stateful-failback")


def _once(names: Sequence[str], path: Callable[[int], Path], what: str, problems: Problems) -> None:
    for number, name in enumerate(names):
        if name in names[:number]:
            problems.add(path(number), f"there is another {what}: {name}", code="duplicate-name")


def _of_site(part: str, number: int) -> Path:
    return ("spec", "sites", number, part)


def _unknown(name: str, known: Iterable[str], path: Path, problems: Problems) -> None:
    every = tuple(known)
    hint = did_you_mean(name, every) or f"sites are {', '.join(every)}"
    problems.add(path, f"there is no site {name!r}", hint=hint, code="unknown-site")


RESOURCE = Resource(
    kind="FailoverPolicy",
    plural="failoverpolicies",
    short=("fopol",),
    columns=(
        MODE,
        Column(name="Home", path=".spec.primary", about="the site that users are sent back to"),
        VALID,
        VERDICT,
        DECISION,
        WHY,
        AGE,
    ),
    status=DECIDING,
)

KIND = Kind(FailoverSpec, compiled, RESOURCE)
