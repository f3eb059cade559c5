"""What a FailoverPolicy says to people."""

from __future__ import annotations

from aiops.core.decide.failover.scene import Scene
from aiops.core.model import Health, Judgement, Plan, PlanStatus, Reason, SiteState, VerdictWord


def evidence_lines(scene: Scene) -> tuple[str, ...]:
    """Return what was seen, line by line: where traffic goes, how each site is, and who says so."""
    lines = []
    if scene.weights:
        lines.append("traffic: " + ", ".join(f"{weight} % to {name}" for name, weight in scene.weights))
    for site in scene.policy.sites:
        lines.append(f"{site.name}: {site_word(scene.memory.sites[site.name], scene.now)}")
        lines += scene.known.why[site.name]
    return tuple(lines)


def site_word(state: SiteState, now: float) -> str:
    """Return how a site is and since when."""
    if state.health is Health.WELL:
        return f"well for {now - state.well_since:.0f} s"
    said = "sick" if state.health is Health.SICK else "not known"
    return f"{said} for {max(0.0, now - state.since):.0f} s"


def steady(scene: Scene) -> Judgement:
    """Return what is said when nothing is to be done."""
    active = scene.active
    said = []
    for site in scene.policy.sites:
        role = "serves" if site is active else "stands by"
        said.append(f"{site.name} {role}, {site_word(scene.memory.sites[site.name], scene.now)}")
    return Judgement(word=VerdictWord.STEADY, detail="; ".join(said))


def standing_word(plan: Plan) -> Judgement:
    """Return what is said of a plan at work."""
    what = f"{plan.kind.value} {plan.id}"
    match plan.status:
        case PlanStatus.PAUSED:
            detail = f"{what} is paused by a person: resume it or roll it back"
            return Judgement(word=VerdictWord.WAIT, reason=Reason.PAUSED, detail=detail, plan_id=plan.id)
        case PlanStatus.ASKING:
            detail = f"{what} stands still and asks a person how to go on"
            return Judgement(word=VerdictWord.ASK, reason=Reason.IN_FLIGHT, detail=detail, plan_id=plan.id)
        case PlanStatus.PROPOSED:
            detail = f"{what} waits for a yes"
            return Judgement(word=VerdictWord.ASK, reason=Reason.APPROVAL_NEEDED, detail=detail, plan_id=plan.id)
        case _:
            at = plan.current
            step = "" if at is None else f", step {at + 1} of {len(plan.steps)} ({plan.steps[at].name})"
            held = f": {plan.held}" if plan.held else ""
            detail = f"{what} is {plan.status.value}{step}{held}"
            return Judgement(word=VerdictWord.ALLOW, detail=detail, plan_id=plan.id)
