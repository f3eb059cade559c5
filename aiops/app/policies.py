"""Policies from files: reloaded all or nothing, the last good set kept (S10); what is deleted is handed back (S9)."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from aiops import policy as language
from aiops.core.policies import PolicySet
from aiops.errors import InvalidPolicy, Problem
from aiops.policy.files import Listing, policy_files

_LOG = logging.getLogger("aiops.policies")
EMPTY_S = 30.0
"""How long a folder must stay without a policy before that counts as their deletion.

Tools that replace files take the old ones away first, and an editor empties a file before it writes it.
"""

Fingerprint = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Watching:
    """How files are looked at. adopted: told of every set before it is in force. standing: see FolderPolicySource."""

    adopted: Callable[[PolicySet], None] = lambda _: None
    standing: bool = False
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
        self._set = language.load(self._paths, step_s, may_be_empty=self._watching.standing)
        self.problems: tuple[Problem, ...] = ()
        if not self._set.every:
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
                fresh = language.load(self._paths, self._step_s, may_be_empty=True)
            except InvalidPolicy as err:
                return self._refuse(err.problems, seen)
            if not force and self._waits(listing, fresh):
                return False
            self.problems, self._gone_since, self._empty = (), None, frozenset(listing.empty)
            if fresh.digest == self._set.digest:
                self._seen = seen
                return False
            # a store that cannot keep it raises here: then the files are looked at again
            self._watching.adopted(fresh)
            self._seen, self._set = seen, fresh
            _LOG.info("policies_loaded", extra={"digest": fresh.digest, "policies": len(fresh.every)})
            return True

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
