"""ports.PolicySource of what runs: what is loaded, by the promotions in the store."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from aiops.app.policies import FolderPolicySource, MergedPolicySource
from aiops.app.promotion import Gate, Resolved, Standing, resolved, standing_words
from aiops.core.model import Instant, Mode, PolicyKey
from aiops.core.policies import PlanPolicy, PolicySet, ScalingPolicy
from aiops.core.versions import Promotion
from aiops.errors import Problem, StoreUnavailable

_LOG = logging.getLogger("aiops.policies")


class Records(Protocol):
    """Where promotions are kept."""

    def every(self) -> Sequence[Promotion]:
        """Return all of them, the oldest first."""
        ...

    def newest(self) -> object:
        """Return what differs whenever one was added."""
        ...

    def add_new(self, promotion: Promotion) -> bool:
        """Write one unless the newest of its policy says the same."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Promoting:
    """How it is told what acts. adopted: told of every set before it is in force. now: people's clock."""

    gate: Gate
    adopted: Callable[[PolicySet], None] = lambda _: None
    now: Callable[[], Instant] = time.time


class PromotedPolicySource:
    """Resolves what is loaded when that changes or a promotion is added; while the store is away, all stays.

    confirmed_at: when policies were promoted last, by their keys.
    """

    def __init__(self, loaded: FolderPolicySource | MergedPolicySource, records: Records, promoting: Promoting) -> None:
        self.loaded = loaded
        self._records = records
        self._promoting = promoting
        self._lock = threading.Lock()
        self._known: tuple[str, object] = ("", None)
        self._made = Resolved(policies=PolicySet(digest=""))
        self.confirmed_at: Mapping[PolicyKey, Instant] = {}
        self._take()

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Return what is not in force, and why."""
        return self.loaded.problems

    @property
    def standings(self) -> Mapping[PolicyKey, Standing]:
        """Return where each loaded policy stands."""
        return self._made.standings

    @property
    def held(self) -> Mapping[PolicyKey, str]:
        """Return the policies that may change nothing now, and why."""
        before = self.loaded.made.held if isinstance(self.loaded, MergedPolicySource) else {}
        return {**before, **self._made.held}

    def current(self) -> PolicySet:
        """Return the set in force."""
        return self._made.policies

    def unready(self) -> list[str]:
        """Return why what is required has not been read yet."""
        return self.loaded.unready() if isinstance(self.loaded, MergedPolicySource) else []

    def reload(self, *, force: bool = False) -> bool:
        """Take what there is now; return whether another set is in force."""
        try:
            self.loaded.reload(force=force)
        except StoreUnavailable as err:
            # what was loaded stays, and is looked at again; a word that was taken back is followed all the same
            _LOG.warning("policies_not_kept", extra={"reason": str(err)})
        with self._lock:
            try:
                return self._take()
            except StoreUnavailable as err:
                _LOG.warning("promotions_unknown", extra={"reason": str(err)})
                return False

    def _take(self) -> bool:
        loaded = self.loaded.current()
        known = (loaded.digest, self._records.newest())
        if known == self._known:
            return False
        if self._promoting.gate is Gate.FILE:
            self._note_files(loaded)
            known = (loaded.digest, self._records.newest())
        every = self._records.every()
        made = resolved(loaded, every, self._promoting.gate)
        changed = made.policies.digest != self._made.policies.digest
        if changed:
            self._promoting.adopted(made.policies)
        for key, standing in made.standings.items():
            if standing.notice and standing != self._made.standings.get(key):
                _LOG.warning("policy_stands", extra={"policy": key, "notice": standing.notice})
        self._known, self._made = known, made
        self.confirmed_at = {key: words[0].at for key, words in standing_words(every).items() if words}
        return changed

    def _note_files(self, loaded: PolicySet) -> None:
        """Write down what acts because it is loaded: whoever asks for evidence later finds it promoted."""
        promoted: tuple[ScalingPolicy | PlanPolicy, ...] = (*loaded.scaling, *loaded.templates, *loaded.plans)
        for policy in promoted:
            if policy.reach.rank >= Mode.APPROVE.rank:
                word = Promotion(
                    policy=policy.key,
                    spec_hash=policy.spec_hash,
                    mode=policy.mode,
                    by="file",
                    at=self._promoting.now(),
                    reason=f"loaded from {policy.origin}",
                    forced=False,
                    evidence="{}",
                    document=policy.document,
                )
                self._records.add_new(word)
