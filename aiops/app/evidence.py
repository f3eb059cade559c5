"""What the record says for a spec that is to be promoted, and whether that is enough (S6). Pure."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from aiops.app.comparing import UNSENT
from aiops.core.model import Instant, Mode
from aiops.core.record.story import stamp
from aiops.core.versions import member_of, rules_hash

if TYPE_CHECKING:
    from aiops.adapters.store import Tally


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """How a spec has done so far. ran_s: by mode; a shadow's time is one in dry-run, a template's that of one member.

    changes: that were decided, sent or not. held_ticks: in which a limit kept it from one. bugs: ticks that ended so.
    """

    ran_s: Mapping[str, float] = field(default_factory=dict)
    first_at: Instant | None = None
    last_at: Instant | None = None
    ticks: int = 0
    changes: int = 0
    held_ticks: int = 0
    bugs: int = 0

    def as_plain(self) -> dict[str, Any]:
        """Return it as plain data, instants as texts."""
        times = {name: None if at is None else stamp(at) for name, at in _times(self).items()}
        return {**asdict(self), "ran_s": dict(self.ran_s), **times}


def _times(one: Evidence) -> dict[str, Instant | None]:
    return {"first_at": one.first_at, "last_at": one.last_at}


def saying_the_same(document: str, documents: Mapping[str, str]) -> dict[str, str]:
    """Return the documents that say the same as one, by digest: in another mode, or under a candidate's name."""
    wanted = rules_hash(document)
    return {digest: body for digest, body in documents.items() if rules_hash(body) == wanted}


def evidence(tallies: Sequence[Tally], documents: Mapping[str, str], step_s: float) -> Evidence:
    """Return what was decided by documents that say the same. step_s: what a tick stands for."""
    by_member: dict[str | None, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for one in tallies:
        document = documents[one.digest]
        member = member_of(document)
        by_member[None if member is None else member.name][_mode(one, document).value] += one.ticks * step_s
    modes = sorted({mode for ran in by_member.values() for mode in ran})
    return Evidence(
        ran_s={mode: max(ran.get(mode, 0.0) for ran in by_member.values()) for mode in modes},
        first_at=min((one.first_at for one in tallies), default=None),
        last_at=max((one.last_at for one in tallies), default=None),
        ticks=sum(one.ticks for one in tallies),
        changes=sum(one.records for one in tallies if one.verdict == "allow"),
        held_ticks=sum(one.ticks for one in tallies if one.verdict in ("wait", "deny") and one.reason not in UNSENT),
        bugs=sum(one.ticks for one in tallies if one.verdict == "bug"),
    )


def _mode(tally: Tally, document: str) -> Mode:
    spec = json.loads(document)["spec"]
    return Mode.DRY_RUN if tally.dry_run or spec.get("candidateFor") else Mode(spec["mode"])


def lacking(found: Evidence, to: Mode, needed_s: float) -> list[str]:
    """Return why this is not enough to let a spec act up to a mode; nothing when it is."""
    counts = [Mode.DRY_RUN, Mode.APPROVE]
    if to is Mode.APPROVE:
        counts.append(Mode.ENFORCE)
    ran_s = sum(found.ran_s.get(mode.value, 0.0) for mode in counts)
    missing = []
    if not found.ticks:
        missing.append("it has not decided anything yet: let it run in dry-run, or in the shadow of what acts")
    elif ran_s < needed_s:
        where = "" if to is Mode.APPROVE else f" in {' and '.join(mode.value for mode in counts)}"
        needed = f"{lasting(needed_s)} are needed (promotion.evidence_for)"
        missing.append(f"it ran for {lasting(ran_s)}{where}, {needed}")
    if found.bugs:
        missing.append(f"{found.bugs} of its ticks ended in a bug")
    return missing


def failed_tests(tests: Mapping[str, Any] | None) -> list[str]:
    """Return that tests of a spec failed; that none are known of is no reason to refuse it."""
    if tests is None or tests["passed"] == tests["tests"]:
        return []
    return [f"{tests['tests'] - tests['passed']} of its {tests['tests']} tests failed at {tests['at']}"]


def lasting(seconds: float) -> str:
    """Return a duration as people read it.

    >>> lasting(45.0), lasting(90.0), lasting(5400.0), lasting(90000.0), lasting(604800.0)
    ('45 s', '1 min 30 s', '1 h 30 min', '1 d 1 h', '7 d')
    """
    whole = round(seconds)
    for unit, name, less, less_name in ((86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= unit:
            rest = whole % unit // less
            return f"{whole // unit} {name}" + (f" {rest} {less_name}" if rest else "")
    return f"{whole} s"
