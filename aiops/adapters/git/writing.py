"""One commit: made on top of what the branch says now, pushed in its place, or refused with a reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from aiops.adapters.git.formats import written
from aiops.adapters.git.messages import inscription, message, sizes_message, trailers_of
from aiops.adapters.git.mirror import Mirror, Said
from aiops.adapters.git.options import RepositoryOptions
from aiops.adapters.git.places import Place
from aiops.adapters.git.reading import HEADS, SIZES, Tips, ref_of
from aiops.adapters.git.remote import Push, Pushed, Remote, Unreachable
from aiops.adapters.git.sizes import resized
from aiops.adapters.git.yaml_text import Number, Unusable
from aiops.core.model import Action, Instant, Reason, Step, StepResult, StepStatus, TargetRef
from aiops.core.objects.quantities import alike, amount

ATTEMPTS = 4
"""How often a commit is made anew on top of a branch that moves on meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForPlan:
    """The errand of a plan, as it asks for one commit. tick_id: in which turn."""

    id: str
    tick_id: str
    policy: str
    target: TargetRef
    epoch: int
    expires_at: Instant


Asking: TypeAlias = Action | ForPlan
"""Who asks for a commit: an action, or the errand of a plan."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A step to push. due: whether it may still be pushed; asked again right before the request."""

    action: Asking
    step: Step
    place: Place
    at: Instant
    due: Callable[[], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of an order. refused: why the other side took nothing, '' when it was not asked, or took it."""

    result: StepResult
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes in one repository. fetched: fetches, keeps and returns the tips of the branches; raises Unreachable."""

    options: RepositoryOptions
    mirror: Mirror
    remote: Remote
    fetched: Callable[[], Tips]

    def write(self, order: Order) -> Answer:
        """Make the commit and push it; of a branch that moved on it is made again, a few times."""
        for _ in range(ATTEMPTS):
            try:
                tips = self.fetched()
                made = self._made(order, tips)
                if isinstance(made, Answer):
                    return made
                pushed, said = self.remote.push(made)
            except Unusable as err:
                return _no(order, Reason.UNDECLARED, str(err))
            except Unreachable as err:
                return self._unreached(order, err)
            match pushed:
                case Pushed.DONE:
                    self.mirror.keep(made.objects)
                    return _done(order, made.new, f"{made.new.decode()[:9]} on {_short(made.ref)}")
                case Pushed.REFUSED:
                    why = f"{self.options.name} did not take {_short(made.ref)}: {said}"
                    return Answer(result=_no(order, Reason.PUSH_REFUSED, why).result, refused=why)
                case Pushed.MOVED:
                    continue
        why = f"{self.options.name} moved on each time that a commit was made on top of it ({ATTEMPTS} times)"
        return _no(order, Reason.REPOSITORY_UNAVAILABLE, why)

    def _made(self, order: Order, tips: Tips) -> Push | Answer:
        """Return what to push, or why nothing is to be."""
        body, place = order.step.body, order.place
        base = tips.get(ref_of(self.options.branch))
        if base is None:
            why = f"repository {self.options.name} has no branch {self.options.branch}"
            return _no(order, Reason.REPOSITORY_UNAVAILABLE, why)
        if place.container:
            return self._made_sizes(order, tips, base)
        number = self.mirror.number(base, place)
        ref, parent = self._onto(order, tips, base)
        if ref is None:
            return _no(order, Reason.PROPOSED, f"branch {parent} has commits of others: it is theirs")
        there = self._there(order, parent, number)
        if there is not None:
            return there
        if not order.due():
            return _no(order, Reason.EXPIRED, "its time was over before it was pushed")
        target = order.action.target
        said = Said(
            who=f"{self.options.author} <{self.options.email}>".encode(),
            at=order.at,
            message=message(target, body).encode(),
        )
        content = written(self.mirror.content(parent, place), place, int(body["to"]))
        new, objects = self.mirror.commit(parent, place, content, said)
        return Push(ref=ref, old=tips.get(ref), new=new, objects=objects)

    def _there(self, order: Order, parent: bytes, number: Number) -> Answer | None:
        """Return that it is done already, or why it must not be done; None when it is to be done (S4, S6)."""
        body = order.step.body
        before, after = int(body["from"]), int(body["to"])
        writer = self.mirror.writer(parent, order.place)
        told = None if writer is None else inscription(writer.message, writer.commit, writer.at)
        if told is not None and told[0].action_id == order.action.id:
            return _done(order, told[0].commit.encode(), f"{told[0].commit[:9]} is there already")
        if told is not None and int(told[1].get("Epoch") or 0) > order.action.epoch:
            return _no(order, Reason.NOT_LEADER, f"a newer leader wrote commit {told[0].commit[:9]}")
        if number.value != before:
            why = f"{order.place.file} says {number.value} by now{f', by {writer}' if writer else ''}, and not {before}"
            return _no(order, Reason.MANUAL_OVERRIDE, why)
        low = number.low if number.low is not None else after
        high = number.high if number.high is not None else after
        if not low <= after <= high:
            return _no(order, Reason.OUT_OF_RANGE, f"{order.place.file} allows {low} to {high}, and not {after}")
        return None

    def _onto(self, order: Order, tips: Tips, base: bytes) -> tuple[bytes | None, Any]:
        """Return the branch to push and the commit to build on; (None, its name) for one that is somebody else's.

        A proposal goes on top of the one that waits, while that still begins with what the branch says.
        """
        if not self.options.propose:
            return ref_of(self.options.branch), base
        _, namespace, name = order.action.policy.split("/", 2)
        branch = f"{self.options.prefix}{namespace}/{name}"
        ref = ref_of(branch)
        tip = tips.get(ref)
        if tip is None:
            return ref, base
        commits = self.mirror.between(tip, base)
        told = [_told(one) for one in commits or ()]
        if commits is None or None in told:
            return None, branch
        oldest = told[-1] if told else None
        stands = oldest is not None and oldest == self.mirror.number(base, order.place).value
        return ref, tip if stands else base

    # -- sizes -------------------------------------------------------------------------------------------

    def _made_sizes(self, order: Order, tips: Tips, base: bytes) -> Push | Answer:
        """Return the commit that changes the sizes of a container, or why none is to be pushed."""
        body, place = order.step.body, order.place
        wished: dict[str, str] = dict(body["to"])
        ref, parent = self._onto_sizes(order, tips, base)
        if ref is None:
            return _no(order, Reason.PROPOSED, f"branch {parent} has commits of others: it is theirs")
        there = {name: one.text for name, one in self.mirror.sizes(parent, place).items()}
        if all(alike(there.get(name, ""), value) for name, value in wished.items()):
            return _done(order, parent, f"{parent.decode()[:9]} says so already")
        refused = self._sizes_refused(order, base) or self._changed_after_us(order, base)
        if refused is not None:
            return refused
        if not order.due():
            return _no(order, Reason.EXPIRED, "its time was over before it was pushed")
        said = Said(
            who=f"{self.options.author} <{self.options.email}>".encode(),
            at=order.at,
            message=sizes_message(order.action.target, body).encode(),
        )
        content = resized(self.mirror.content(parent, place), place, wished)
        new, objects = self.mirror.commit(parent, place, content, said)
        return Push(ref=ref, old=tips.get(ref), new=new, objects=objects)

    def _sizes_refused(self, order: Order, base: bytes) -> Answer | None:
        """Return why sizes must not be written: somebody changed them since, or their range does not allow it (S4)."""
        before, file = order.step.body["from"], order.place.file
        for name, one in self.mirror.sizes(base, order.place).items():
            wish = order.step.body["to"].get(name)
            if wish is None:
                continue
            if not alike(one.text, before.get(name, "")) and not alike(one.text, wish):
                why = f"{file} says {name} {one.text} by now, and not {before.get(name, 'none')}"
                return _no(order, Reason.MANUAL_OVERRIDE, why)
            least, most = one.low and amount(one.low), one.high and amount(one.high)
            if (least and amount(wish) < least) or (most and amount(wish) > most):
                return _no(order, Reason.OUT_OF_RANGE, f"{file} allows {name} {one.low}..{one.high}, and not {wish}")
        return None

    def _changed_after_us(self, order: Order, base: bytes) -> Answer | None:
        """Return why sizes must not be written that somebody changed after this plan had written them (S4, S7)."""
        body, place = order.step.body, order.place
        mine = (body["origin"]["plan"], order.action.target.key, f"{place.field}/{place.container}")
        for sha, text in self.mirror.recent(base):
            told = trailers_of(text) if mine[0] in text else {}
            if (told.get("Plan"), told.get("Target"), told.get("Field")) != mine:
                continue
            said = self.mirror.sizes(base, place)
            for name, _, value in (one.partition("=") for one in told.get("To", "").split()):
                if name in body["to"] and name in said and not alike(said[name].text, value):
                    ours = f"our commit {sha.decode()[:9]} had written {value}"
                    why = f"{place.file} says {name} {said[name].text}, and {ours}: somebody changed it after us"
                    return _no(order, Reason.MANUAL_OVERRIDE, why)
            return None
        return None

    def _onto_sizes(self, order: Order, tips: Tips, base: bytes) -> tuple[bytes | None, Any]:
        """Return the branch to push and the commit to build on, as `_onto`; one branch holds all sizes of a policy."""
        if not self.options.propose:
            return ref_of(self.options.branch), base
        _, namespace, name = order.action.policy.split("/", 2)
        branch = f"{self.options.prefix}{namespace}/{name}{SIZES.decode()}"
        tip = tips.get(ref_of(branch))
        if tip is None:
            return ref_of(branch), base
        commits = self.mirror.between(tip, base)
        if commits is None:
            return ref_of(branch), base  # the branch went on without it: it is proposed anew
        told = [trailers_of((one.message or b"").decode("utf-8", "replace")) for one in commits]
        if not all(one.get("Policy") == order.action.policy for one in told):
            return None, branch
        return ref_of(branch), tip if self.mirror.begins_with(commits, base, order.place) else base

    def _unreached(self, order: Order, err: Unreachable) -> Answer:
        if not err.sent:
            # a host that is away is asked again as soon as it can be read; who is not let in waits as if refused
            refused = str(err) if err.reason is Reason.NO_PERMISSION else ""
            return Answer(result=_no(order, err.reason, f"nothing was pushed: {err}").result, refused=refused)
        unknown = StepResult(action_id=order.action.id, status=StepStatus.UNKNOWN, at=order.at, message=str(err))
        return Answer(result=unknown)


def _told(commit: Any) -> int | None:
    """Return what stood before a commit of ours, None for one of somebody else."""
    found = inscription((commit.message or b"").decode("utf-8", "replace"), "", 0.0)
    return None if found is None else found[0].before


def _done(order: Order, commit: bytes, said: str) -> Answer:
    return Answer(
        result=StepResult(
            action_id=order.action.id,
            status=StepStatus.DONE,
            at=order.at,
            message=said,
            resource_version=commit.decode(),
        )
    )


def _no(order: Order, reason: Reason, why: str) -> Answer:
    return Answer(
        result=StepResult(action_id=order.action.id, status=StepStatus.REFUSED, at=order.at, reason=reason, message=why)
    )


def _short(ref: bytes) -> str:
    return ref.removeprefix(HEADS).decode()
