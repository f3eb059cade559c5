"""Promoting, taking back and comparing versions of policies, from the record: plain data in, plain data out."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from aiops.app.asking import names
from aiops.app.comparing import Curve, compared, runs
from aiops.app.evidence import evidence, failed_tests, lacking, saying_the_same
from aiops.app.promotion import Standing
from aiops.app.tested_specs import checked, evidence_for
from aiops.core.model import Instant, Mode, PolicyKey
from aiops.core.record.story import stamp
from aiops.core.versions import (
    MARK,
    Promotion,
    base_key,
    is_member,
    is_version,
    spec_hash,
    template_document,
    template_key,
)
from aiops.errors import Conflict, InvalidInput, NotFound

if TYPE_CHECKING:
    from aiops.adapters.store import Latest, Store

DEFAULT_STEP_S, DEFAULT_NEEDED_S = 15.0, 86_400.0
STALE_TICKS = 3

_BLANK = "".join(map(chr, range(0x21)))
"""What no name begins or ends with; other blanks of Unicode may be in one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What is asked of a promotion. step_s: what a tick stands for; needed_s: how long a spec must have run."""

    step_s: float = DEFAULT_STEP_S
    needed_s: float = DEFAULT_NEEDED_S


@dataclass(frozen=True, slots=True)
class Versions:
    """The versions in one store. now: people's clock."""

    store: Store
    terms: Terms
    now: Callable[[], Instant]

    # -- names -----------------------------------------------------------------------------------------

    def named(self, name: str) -> Latest:
        """Return the policy, or version, of a name: NAME, NAMESPACE/NAME or a key; raise NotFound or InvalidInput."""
        known = self.store.versions.latest()
        found = [one for one in known if name in names(one.policy)]
        members = sorted(base_key(one.policy).partition("/")[2] for one in self._members(name))
        if members and not found:
            raise Conflict(f"{name} is for several targets: name one of {', '.join(dict.fromkeys(members))}")
        if len(found) == 1:
            return found[0]
        if found:
            raise Conflict(f"{name} could be {', '.join(one.policy for one in found)}")
        have = ", ".join(one.policy.partition("/")[2] for one in known if one.policy.startswith("ScalingPolicy/"))
        raise NotFound(f"no policy {name} has decided anything yet; there are {have or 'none'}")

    def loaded(self, key: PolicyKey) -> Latest:
        """Return the version of a policy that is loaded: the newest that runs beside it, or else itself.

        key: as it is promoted; of a template it is a member's.
        """
        known = [one for one in self.store.versions.latest() if template_key(one.policy) == key]
        last = max(one.until for one in known)
        fresh = [one for one in known if one.until >= last - STALE_TICKS * self.terms.step_s]
        return max(fresh, key=lambda one: (is_version(one.policy), one.until))

    def _members(self, name: str) -> list[Latest]:
        """Return the newest decisions of the members of a template of that name."""
        known = self.store.versions.latest()
        return [one for one in known if is_member(one.policy) and name in names(template_key(one.policy))]

    def _promoted_as(self, name: str) -> PolicyKey:
        """Return the key under which a policy of a name is promoted: a template's members all at once."""
        keys = {template_key(one.policy) for one in self._members(name)}
        if len(keys) == 1:
            return keys.pop()
        found = base_key(self.named(name).policy)
        if is_member(found):
            whole = template_key(found).partition("/")[2]
            raise Conflict(f"{name} is a member of {whole}: promote that, for all of its targets")
        return found

    # -- promoting ---------------------------------------------------------------------------------------

    def promote(self, wish: dict[str, Any]) -> dict[str, Any]:
        """Say that a policy, as it is loaded, may act up to a mode: on evidence, or forced; raise InvalidInput.

        Fields: policy, to, by, reason, force, tests (see tested_specs.py). What is refused is told with the evidence,
        and nothing is written.
        """
        mode = _mode(wish.get("to"))
        policy = self._promoted_as(word(wish, "policy"))
        by, reason = word(wish, "by"), word(wish, "reason")
        if mode.rank < Mode.APPROVE.rank:
            return self._write(policy, self.loaded(policy), mode, (by, reason, False, {}))
        latest = self.loaded(policy)
        document = template_document(self.store.reader.policy_document(latest.digest))
        whole = json.loads(document)
        candidate_for = whole["spec"].get("candidateFor")
        if candidate_for:
            raise Conflict(
                f"{policy} is a candidate and never acts: write its spec into {candidate_for}, its time counts there"
            )
        same = saying_the_same(document, self.store.versions.documents("ScalingPolicy", whole["metadata"]["namespace"]))
        found = evidence(self.store.versions.tallies(list(same)), same, self.terms.step_s)
        tests = evidence_for(checked(wish.get("tests") or []), policy, spec_hash(document))
        missing = [*lacking(found, mode, self.terms.needed_s), *failed_tests(tests)]
        forced = bool(wish.get("force"))
        shown = {**found.as_plain(), "tests": tests, "compared": self._beside(latest), **self._for_whom(policy)}
        if missing and not forced:
            return {
                "promoted": False,
                "policy": policy,
                "spec_hash": spec_hash(document),
                "to": mode.value,
                "missing": missing,
                "evidence": shown,
            }
        made = self._write(policy, latest, mode, (by, reason, bool(missing), shown))
        return {**made, "missing": missing}

    def _write(
        self, policy: PolicyKey, latest: Latest, mode: Mode, said: tuple[str, str, bool, dict[str, Any]]
    ) -> dict[str, Any]:
        by, reason, forced, shown = said
        document = template_document(self.store.reader.policy_document(latest.digest))
        word = Promotion(
            policy=policy,
            spec_hash=spec_hash(document),
            mode=mode,
            by=by,
            at=self.now(),
            reason=reason,
            forced=forced,
            evidence=json.dumps(shown, sort_keys=True),
            document=document,
        )
        return {"promoted": True, **plain(self.store.promotions.add(word))}

    def _for_whom(self, policy: PolicyKey) -> dict[str, Any]:
        """Return who decided for a template lately, which is whom its promotion is known to be for."""
        lately = [one for one in self.store.versions.latest() if template_key(one.policy) == policy]
        last = max(one.until for one in lately)
        targets = {one.target for one in lately if one.until >= last - STALE_TICKS * self.terms.step_s}
        return {"targets": sorted(targets)} if any(is_member(one.policy) for one in lately) else {}

    def _beside(self, latest: Latest) -> dict[str, Any] | None:
        """Return how a version did beside what acted meanwhile, None when it ran alone."""
        policy = base_key(latest.policy)
        if latest.policy == policy or policy not in {one.policy for one in self.store.versions.latest()}:
            return None
        made = self.compare(policy, latest.policy, None)
        del made["differences"], made["definitions"]
        return made

    def history(self) -> list[dict[str, Any]]:
        """Return the promotions, the newest first."""
        return [plain(one) for one in reversed(self.store.promotions.every())]

    # -- comparing ---------------------------------------------------------------------------------------

    def diff(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Return where two versions would have differed. Fields: live, candidate ('': what runs beside), hours."""
        live = self.named(word(asked, "live"))
        other = str(asked.get("candidate") or "")
        candidate = self.named(other) if other else self._shadow_of(live.policy)
        if live.policy == candidate.policy:
            raise Conflict(f"{live.policy} is one and the same")
        return self.compare(live.policy, candidate.policy, asked.get("hours"))

    def compare(self, live: PolicyKey, candidate: PolicyKey, hours: float | None) -> dict[str, Any]:
        """Return where two policies that decided beside each other would have differed; over all that is kept."""
        found = {one.policy: one for one in self.store.versions.latest()}
        until = min(found[live].until, found[candidate].until)
        since = 0.0 if hours is None else until - hours * 3600.0
        step_s = self.terms.step_s
        theirs = self.store.versions.decided(candidate, since, until)
        if theirs:
            since = max(since, theirs[0][0]["at"] - step_s)
        mine = self.store.versions.decided(live, since, until)
        made = compared(runs(mine, step_s), runs(theirs, step_s), self._curve(live, since, until))
        return {"live_policy": live, "candidate_policy": candidate, **made}

    def _shadow_of(self, key: PolicyKey) -> Latest:
        beside = [one for one in self.store.versions.latest() if one.policy.startswith(f"{key}{MARK}")]
        if not beside:
            raise NotFound(f"no version of {key} runs beside it: name the candidate")
        return max(beside, key=lambda one: one.until)

    def _curve(self, policy: PolicyKey, since: Instant, until: Instant) -> Curve:
        columns = self.store.reader.series(policy, since, until + 3600.0)
        costs = zip(columns["usd_per_hour"], columns["replicas"], strict=True)
        return Curve(
            step_s=self.terms.step_s,
            at=columns["at"],
            demand=columns["demand"],
            replicas=columns["replicas"],
            usd_per_replica_hour=[usd / level if usd is not None and level else None for usd, level in costs],
        )


def plain(one: Promotion) -> dict[str, Any]:
    """Return a promotion as plain data."""
    shown = asdict(one)
    del shown["document"]
    return {**shown, "mode": one.mode.value, "at": stamp(one.at), "evidence": json.loads(one.evidence)}


def stands(standings: Sequence[Standing]) -> list[dict[str, Any]]:
    """Return where loaded policies stand, as plain data."""
    return [
        {
            "policy": one.policy,
            "place": one.place.value,
            "asked": one.asked.value,
            "mode": one.mode.value,
            "spec_hash": one.spec_hash,
            "acting_hash": one.acting_hash,
            "shadow": one.shadow,
            "promotion": None if one.promotion is None else plain(one.promotion),
            "notice": one.notice,
        }
        for one in standings
    ]


def _mode(value: Any) -> Mode:
    try:
        return Mode(str(value))
    except ValueError as err:
        raise InvalidInput(f"to: {value!r} is not one of {', '.join(Mode)}") from err


def word(wish: dict[str, Any], name: str) -> str:
    """Return a field of a wish without the blanks around it; raise InvalidInput when nothing is left."""
    value = wish.get(name)
    found = value.strip(_BLANK) if isinstance(value, str) else ""
    if not found:
        raise InvalidInput(f"{name} is missing")
    return found[:500]
