"""Policies from files, reloaded all or nothing, and from an API server; the last good is kept (S10).

What is deleted is handed back (S9).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from aiops import policy as language
from aiops.app.merging import Merged, Policy, in_force, merged, standing
from aiops.app.resources import Entry, Further, Remembered, ResourceBook, checked, nothing_further
from aiops.core.model import PolicyKey, Reason
from aiops.core.policies import PolicySet
from aiops.errors import InvalidPolicy, Problem
from aiops.policy.files import Listing, policy_files
from aiops.ports import PolicyResources

if TYPE_CHECKING:
    from aiops.policy.defaults import Defaults

_LOG = logging.getLogger("aiops.policies")
EMPTY_S = 30.0
"""How long a folder must stay without a policy before that counts as their deletion.

Tools that replace files take the old ones away first, and an editor empties a file before it writes it.
"""

Fingerprint = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Watching:
    """How files are looked at. adopted: told of every set before it is in force. standing: see FolderPolicySource.

    optional: policies come from elsewhere, too, so that to have no files is no mistake. further: what else is an error.
    """

    adopted: Callable[[PolicySet], None] = lambda _: None
    standing: bool = False
    optional: bool = False
    further: Further = nothing_further
    elapsed_s: Callable[[], float] = time.monotonic


class FolderPolicySource:
    """ports.PolicySource over files and folders. The first load raises InvalidPolicy; later ones keep what was good.

    A folder that can be read and holds no policy is the deletion of those that it held, once that lasts; one that is
    missing, or cannot be read, is a mistake. At first it is a mistake too, unless something stands in the clusters that
    the deleted policies did (`standing`).
    """

    def __init__(self, paths: Sequence[Path], step_s: float, watching: Watching | None = None) -> None:
        self._paths = tuple(paths)
        self._step_s = step_s
        self._watching = watching or Watching()
        self._lock = threading.Lock()
        listing = policy_files(self._paths)
        self._seen = _fingerprint(listing)
        self._empty = frozenset(listing.empty)
        self._gone_since: float | None = None
        self._set, self.defaults = self._load(may_be_empty=self._watching.standing or self._watching.optional)
        self.problems: tuple[Problem, ...] = ()
        if not self._set.every and not self._watching.optional:
            _LOG.warning("policies_deleted", extra={"where": _named(self._paths)})
        self._watching.adopted(self._set)

    def current(self) -> PolicySet:
        """Return the set in force."""
        return self._set

    def reload(self, *, force: bool = False) -> bool:
        """Take the files as they are now, if they changed; return whether another set is in force.

        force: at once, whether they changed or not; what is gone counts as deleted without a wait.
        """
        with self._lock:
            listing = policy_files(self._paths)
            seen = _fingerprint(listing)
            if seen == self._seen and not force and self._gone_since is None:
                return False
            try:
                fresh, defaults = self._load(may_be_empty=True)
            except InvalidPolicy as err:
                return self._refuse(err.problems, seen)
            if not force and self._waits(listing, fresh):
                return False
            self.problems, self._gone_since, self._empty = (), None, frozenset(listing.empty)
            self.defaults = defaults
            if fresh.digest == self._set.digest:
                self._seen = seen
                return False
            # a store that cannot keep it raises here: then the files are looked at again
            self._watching.adopted(fresh)
            self._seen, self._set = seen, fresh
            _LOG.info("policies_loaded", extra={"digest": fresh.digest, "policies": len(fresh.every)})
            return True

    def _load(self, *, may_be_empty: bool) -> tuple[PolicySet, tuple[Defaults, ...]]:
        """Return the policies, and the defaults beside them, which resources take over, too."""
        found = language.check(self._paths, self._step_s, may_be_empty=may_be_empty)
        problems = (*found.errors, *self._watching.further(found.made))
        if found.policies is None or problems:
            raise InvalidPolicy(problems)
        return found.policies, found.defaults

    def _refuse(self, problems: tuple[Problem, ...], seen: Fingerprint) -> bool:
        self._seen, self._gone_since, self.problems = seen, None, problems
        for problem in problems:
            _LOG.error("policy_refused", extra={"problem": str(problem), "in_force": self._set.digest})
        return False

    def _waits(self, listing: Listing, fresh: PolicySet) -> bool:
        """Return whether policies are gone, but not for so long that they are deleted."""
        gone = [one for one in listing.empty if one not in self._empty]
        if not gone and (fresh.every or not self._set.every):
            return False
        now = self._watching.elapsed_s()
        if self._gone_since is None:
            self._gone_since = now
            where = _named(gone or self._paths)
            words = (
                f"holds no policy any more; after {EMPTY_S:.0f} s that is a deletion, and what they did is handed back"
            )
            self.problems = (Problem(file=where, line=0, column=0, field="", message=words),)
            _LOG.warning("policies_gone", extra={"where": where, "handed_back_in_s": EMPTY_S})
        return now - self._gone_since < EMPTY_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Merging:
    """How resources are taken beside files. adopted: told of every set before it is in force.

    stood: by their keys, policies whose work stands in the clusters; remembered: documents by their digests. required:
    whether an API server without the kinds is a mistake. further: what else is an error.
    """

    adopted: Callable[[PolicySet], None] = lambda _: None
    stood: Mapping[PolicyKey, Policy] = field(default_factory=dict)
    remembered: Remembered = lambda _: None
    required: bool = False
    further: Further = nothing_further
    elapsed_s: Callable[[], float] = time.monotonic


class MergedPolicySource:
    """ports.PolicySource over files and the resources of an API server, merged into one set; see app/merging.py.

    Files are all or nothing, a resource stands alone. While a kind is not known, what stood of it is kept and held.
    """

    def __init__(self, files: FolderPolicySource, resources: PolicyResources, merging: Merging) -> None:
        self._files = files
        self._resources = resources
        self._merging = merging
        self._lock = threading.Lock()
        self._stood = dict(merging.stood)
        check = partial(checked, further=merging.further)
        self.book = ResourceBook(files.current().step_s, merging.remembered, merging.elapsed_s, check)
        # what is in force, and the resources from which it was made: other threads read both at once
        self._seen = self._merge(merging.stood)
        merging.adopted(self.made.policies)

    @property
    def made(self) -> Merged:
        """Return what is in force, what of it is held, and who claims the same."""
        return self._seen[0]

    @property
    def seen(self) -> tuple[Merged, Mapping[PolicyKey, Entry]]:
        """Return what is in force, with the resources from which it was made."""
        return self._seen

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Return what is wrong with files, with resources, between them, and with reading them."""
        made, entries = self._seen
        found = [problem for entry in entries.values() for problem in entry.problems]
        return (*self._files.problems, *found, *made.conflicts.values(), *self._unreadable())

    def current(self) -> PolicySet:
        """Return the set in force."""
        return self.made.policies

    def reload(self, *, force: bool = False) -> bool:
        """Take files and resources as they are now; return whether another set is in force. force: see files."""
        with self._lock:
            self._files.reload(force=force)
            before = self.made
            made, entries = self._merge(in_force(before.policies))
            changed = made.policies.digest != before.policies.digest
            if changed:
                # a store that cannot keep it raises here: then all is looked at again
                self._merging.adopted(made.policies)
                _LOG.info("policies_merged", extra={"digest": made.policies.digest, "held": sorted(made.held)})
            for claim in made.conflicts.keys() - before.conflicts.keys():
                _LOG.error("policies_in_conflict", extra={"problem": str(made.conflicts[claim])})
            self._seen = (made, entries)
            return changed

    def unready(self) -> list[str]:
        """Return why resources that are required have not been read yet."""
        return [why for _, why in self.book.reading.unknown.values()] if self._merging.required else []

    def _merge(self, before: Mapping[PolicyKey, Policy]) -> tuple[Merged, Mapping[PolicyKey, Entry]]:
        self.book.take(self._resources.read(), self._files.defaults)
        unknown = self._unknown()
        # once a kind was read, what is not there was deleted
        self._stood = {key: one for key, one in self._stood.items() if key.partition("/")[0] in unknown}
        entries = self.book.entries
        good = [one.good for one in entries.values() if one.good is not None]
        return standing(merged(self._files.current(), good, before), self._stood, unknown), entries

    def _unknown(self) -> dict[str, str]:
        """Return the kinds whose policies may be there, unseen. One that is not served has none, unless it must."""
        return {
            kind: why
            for kind, (reason, why) in self.book.reading.unknown.items()
            if self._merging.required or reason is not Reason.UNKNOWN_TARGET
        }

    def _unreadable(self) -> list[Problem]:
        said = {**{kind: why for kind, (_, why) in self.book.reading.stale.items()}, **self._unknown()}
        return [Problem(file="crd", line=0, column=0, field="", message=why) for why in said.values()]


def _named(paths: Sequence[Path]) -> str:
    return ", ".join(map(str, paths))


def _fingerprint(listing: Listing) -> Fingerprint:
    """Return what differs when a file, an empty folder or a mistake does."""
    out = [(str(path), -1, -1) for path in listing.empty]
    out += [(str(problem), -1, -1) for problem in listing.problems]
    for path in listing.files:
        try:
            stat = path.stat()
        except OSError:
            continue
        out.append((str(path), stat.st_mtime_ns, stat.st_size))
    return tuple(out)
