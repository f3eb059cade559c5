"""What a branch says of one field: its value, its range, whose it is, what was taken back, and what is proposed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from aiops.adapters.git.messages import inscription, trailers_of
from aiops.adapters.git.mirror import Mirror, Written
from aiops.adapters.git.options import RepositoryOptions
from aiops.adapters.git.places import Place
from aiops.adapters.git.yaml_text import Number, Unusable
from aiops.core.model import Declared, DeclaredSizes, FieldOwner, Inscription, Instant, OwnerKind, Reason, TargetRef

Tips = Mapping[bytes, bytes]
HEADS = b"refs/heads/"
SIZES = b"-sizes"
"""How branches end on which sizes are proposed: a policy of another kind may have the same name."""


def ref_of(branch: str) -> bytes:
    """Return the full name of a branch."""
    return HEADS + branch.encode()


@dataclass(slots=True)
class Memory:
    """What was seen of one field before. last: what was said of it. seen: the commit of somebody else, and since when.

    dropped: what somebody did with a commit or a proposal of ours, since when, and which commit stood then. sizes: what
    was said last of sizes; refused: why they are left as they are, and what the file said then.
    """

    last: Declared | None = None
    sizes: DeclaredSizes | None = None
    refused: tuple[str, Mapping[str, str]] | None = None
    seen: tuple[str, Instant] | None = None
    dropped: tuple[str, Instant, str] | None = None


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads the fields of one target after the other from what was fetched."""

    options: RepositoryOptions
    mirror: Mirror

    def blank(self, place: Place, at: Instant) -> Declared:
        """Return what is said while nothing is known."""
        options = self.options
        return Declared(
            field=place.field,
            repository=options.name,
            branch=options.branch,
            file=place.file,
            path=place.path if place.format.value != "kustomize" else f"{place.name} {place.field}",
            as_of=at,
            settle_s=options.settle_s,
            propose=options.propose,
        )

    def read(self, target: TargetRef, place: Place, tips: Tips, memory: Memory, at: Instant) -> Declared:
        """Return what the branch says now; what cannot be read holds, and says why."""
        found = self.blank(place, at)
        tip = tips.get(ref_of(self.options.branch))
        if tip is None:
            why = f"repository {self.options.name} has no branch {self.options.branch}"
            return replace(found, held=(Reason.REPOSITORY_UNAVAILABLE, why))
        found = replace(found, commit=tip.decode())
        try:
            number = self.mirror.number(tip, place)
        except Unusable as err:
            return replace(found, held=(Reason.UNDECLARED, f"repository {self.options.name}, {err}"))
        found = replace(found, value=number.value, low=number.low, high=number.high)
        found = self._offered(found, target, place, tips, number)
        found = self._owned(found, target, place, tip, memory)
        memory.last = found
        return found

    def sizes(self, target: TargetRef, place: Place, tips: Tips, memory: Memory, at: Instant) -> DeclaredSizes:
        """Return what the branch says of a container's requests and limits now; what cannot be read holds."""
        found, options = self.no_sizes(place, at), self.options
        tip = tips.get(ref_of(options.branch))
        if tip is None:
            why = f"repository {options.name} has no branch {options.branch}"
            return replace(found, held=(Reason.REPOSITORY_UNAVAILABLE, why))
        try:
            said = self.mirror.sizes(tip, place)
        except Unusable as err:
            why = f"repository {options.name}, {err}"
            return replace(found, commit=tip.decode(), held=(Reason.UNDECLARED, why))
        values = {name: one.text for name, one in said.items()}
        ranges = {name: (one.low, one.high) for name, one in said.items() if one.low or one.high}
        found = replace(found, commit=tip.decode(), values=values, ranges=ranges)
        if not options.propose:
            return found
        offered, on = self._sizes_offered(target, place, tips, values)
        was = memory.sizes
        memory.sizes = found = replace(found, offered=offered, offered_on=on)
        if was is not None and was.offered and not offered and was.values == values:
            why = f"our proposal on branch {was.offered_on} was deleted, and not merged"
            memory.refused = (why, values)
        if memory.refused is None or memory.refused[1] != values:
            memory.refused = None
            return found
        return replace(found, held=(Reason.MANUAL_OVERRIDE, memory.refused[0]))

    def no_sizes(self, place: Place, at: Instant) -> DeclaredSizes:
        """Return what is said of sizes while nothing is known."""
        options = self.options
        return DeclaredSizes(
            container=place.container,
            repository=options.name,
            branch=options.branch,
            file=place.file,
            path=f"{place.path} {place.container}",
            as_of=at,
            settle_s=options.settle_s,
            propose=options.propose,
        )

    def _sizes_offered(
        self, target: TargetRef, place: Place, tips: Tips, values: Mapping[str, str]
    ) -> tuple[Mapping[str, str], str]:
        """Return what a proposal of ours that waits says otherwise than the branch, and its name; nothing for none."""
        prefix, tip = ref_of(self.options.prefix), tips[ref_of(self.options.branch)]
        for ref, sha in tips.items():
            if not ref.startswith(prefix) or not ref.endswith(SIZES):
                continue
            try:
                said = self.mirror.sizes(sha, place)
            except Unusable:
                continue
            offered = {name: one.text for name, one in said.items() if one.text != values.get(name)}
            if not offered:
                continue
            commits = self.mirror.between(sha, tip) or []
            if not self.mirror.begins_with(commits, tip, place):
                continue
            told = (trailers_of((one.message or b"").decode("utf-8", "replace")) for one in commits)
            mine = (target.key, f"{place.field}/{place.container}")
            if any((one.get("Target"), one.get("Field")) == mine for one in told):
                return offered, ref.removeprefix(HEADS).decode()
        return {}, ""

    # -- whose it is -------------------------------------------------------------------------------------

    def _owned(self, found: Declared, target: TargetRef, place: Place, tip: bytes, memory: Memory) -> Declared:
        """Return it with whose commit wrote the value, and with what was taken back."""
        writer = self.mirror.writer(tip, place)
        if writer is None:
            return found
        ours = self._ours(writer, target, place, memory.last)
        dropped = self._dropped(found, tip, writer, memory)
        if dropped is not None:
            undone, since = dropped
            owner = FieldOwner(field=place.field, kind=OwnerKind.OTHER, manager="somebody", at=since)
            return replace(found, owners=(owner,), undone=undone)
        if ours is not None:
            owner = FieldOwner(field=place.field, kind=OwnerKind.AIOPS, manager="aiops", at=ours.at)
            return replace(found, owners=(owner,), ours=ours)
        if memory.seen is None or memory.seen[0] != writer.commit:
            # a commit may be older than its push: what was not there at the last look came since
            memory.seen = (writer.commit, writer.at if memory.last is None else found.as_of)
        owner = FieldOwner(field=place.field, kind=OwnerKind.OTHER, manager=str(writer), at=memory.seen[1])
        return replace(found, owners=(owner,), undone=self._undone(writer, target, place))

    def _ours(self, writer: Written, target: TargetRef, place: Place, last: Declared | None) -> Inscription | None:
        """Return the commit as one of ours: by its trailers, or as the merge of what we had proposed."""
        told = _told(writer.message, writer.commit, writer.at, target, place)
        if told is not None and told.after == writer.value:
            return told
        offered = None if last is None else last.offered or last.ours
        if offered is None or offered.after != writer.value or writer.before != offered.before:
            return None
        return replace(offered, commit=writer.commit)

    def _undone(self, writer: Written, target: TargetRef, place: Place) -> str:
        """Return who took back a commit of ours, and which, '' when nobody did."""
        if not writer.parent:
            return ""
        before = self.mirror.writer(writer.parent.encode(), place)
        ours = None if before is None else self._ours(before, target, place, None)
        if before is None or ours is None:
            return ""
        if writer.value != before.before and f"reverts commit {before.commit}" not in writer.message:
            return ""
        return f"{writer} took back our commit {ours.commit[:9]} ({ours.before} -> {ours.after})"

    def _dropped(self, found: Declared, tip: bytes, writer: Written, memory: Memory) -> tuple[str, Instant] | None:
        """Return what somebody did with a commit or a proposal of ours that is gone without having been merged."""
        was = memory.last
        if was is not None and was.ours is not None and was.ours.after != found.value:
            gone = was.ours.commit != writer.commit and not self.mirror.contains(tip, was.ours.commit, was.ours.at)
            if gone:
                what = f"our commit {was.ours.commit[:9]} is gone from {found.branch}: its history was written anew"
                memory.dropped = (what, found.as_of, writer.commit)
        if was is not None and was.offered is not None and found.offered is None and was.offered.after != found.value:
            what = f"our proposal of {was.offered.after} on branch {was.offered_on} was deleted, and not merged"
            memory.dropped = (what, found.as_of, writer.commit)
        if memory.dropped is None or memory.dropped[2] != writer.commit:
            memory.dropped = None
            return None
        return memory.dropped[:2]

    # -- what is proposed ----------------------------------------------------------------------------------

    def _offered(self, found: Declared, target: TargetRef, place: Place, tips: Tips, base: Number) -> Declared:
        """Return it with the proposal that waits to be merged; a branch with commits of others is theirs now."""
        prefix, tip = ref_of(self.options.prefix), tips[ref_of(self.options.branch)]
        for ref, sha in tips.items():
            if not self.options.propose or not ref.startswith(prefix) or self._value(sha, place) == base.value:
                continue
            commits = self.mirror.between(sha, tip) or []
            told = [_told_by(one, target, place) for one in commits]
            mine = next((one for one in told if one is not None), None)
            if mine is None:
                continue
            branch = ref.removeprefix(HEADS).decode()
            found = replace(found, offered=mine, offered_on=branch)
            if None in told:
                why = f"branch {branch} has commits of others: it is theirs until it is merged or deleted"
                return replace(found, held=(Reason.PROPOSED, why))
        return found

    def _value(self, sha: bytes, place: Place) -> int | None:
        try:
            return self.mirror.number(sha, place).value
        except Unusable:
            return None


def _told_by(commit: Any, target: TargetRef, place: Place) -> Inscription | None:
    text = (commit.message or b"").decode("utf-8", "replace")
    return _told(text, commit.id.decode(), float(commit.commit_time or 0), target, place)


def _told(text: str, commit: str, at: Instant, target: TargetRef, place: Place) -> Inscription | None:
    told = inscription(text, commit, at)
    if told is None or (told[1].get("Target"), told[1].get("Field")) != (target.key, place.field):
        return None
    return told[0]
