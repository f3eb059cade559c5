"""Policies from files: reloaded all or nothing, the last good set kept (S10)."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from aiops import policy as language
from aiops.core.policies import PolicySet
from aiops.errors import InvalidPolicy, Problem

_LOG = logging.getLogger("aiops.policies")


class FolderPolicySource:
    """ports.PolicySource over files and folders. The first load raises InvalidPolicy; later ones keep what was good."""

    def __init__(
        self, paths: Sequence[Path], step_s: float, adopted: Callable[[PolicySet], None] = lambda _: None
    ) -> None:
        self._paths = tuple(paths)
        self._step_s = step_s
        self._adopted = adopted
        self._lock = threading.Lock()
        self._seen = self._fingerprint()
        self._set = language.load(self._paths, step_s)
        self.problems: tuple[Problem, ...] = ()
        adopted(self._set)

    def current(self) -> PolicySet:
        """Return the set in force."""
        return self._set

    def reload(self, *, force: bool = False) -> bool:
        """Take the files as they are now, if they changed; return whether another set is in force."""
        with self._lock:
            seen = self._fingerprint()
            if seen == self._seen and not force:
                return False
            try:
                fresh = language.load(self._paths, self._step_s)
            except InvalidPolicy as err:
                self._seen = seen
                self.problems = err.problems
                for problem in err.problems:
                    _LOG.error("policy_refused", extra={"problem": str(problem), "in_force": self._set.digest})
                return False
            self.problems = ()
            if fresh.digest == self._set.digest:
                self._seen = seen
                return False
            # a store that cannot keep it raises here: then the files are looked at again
            self._adopted(fresh)
            self._seen, self._set = seen, fresh
            _LOG.info("policies_loaded", extra={"digest": fresh.digest, "policies": len(fresh.every)})
            return True

    def _fingerprint(self) -> tuple[tuple[str, int, int], ...]:
        from aiops.policy.files import policy_files

        found, _ = policy_files(self._paths)
        out = []
        for path in found:
            try:
                stat = path.stat()
            except OSError:
                continue
            out.append((str(path), stat.st_mtime_ns, stat.st_size))
        return tuple(out)
