"""Policies from an API server: each stands alone, an invalid one keeps its last good version (S10).

What cannot be read is never taken for deleted (S9): a kind that is not served, not permitted or not answered for leaves
everything as it was.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from aiops import policy as language
from aiops.core.policies import AnyPolicy, PolicySet
from aiops.errors import InvalidPolicy, Problem
from aiops.policy.compile import API_VERSION
from aiops.ports import PolicyResource, ResourcesReading

if TYPE_CHECKING:
    from aiops.policy.defaults import Defaults
    from aiops.policy.document import Document

_LOG = logging.getLogger("aiops.policies")
GONE_S = 10.0
"""How long a resource must be gone, of a kind that is known, before that counts as its deletion.

Who deletes a CustomResourceDefinition deletes its objects first; what was taken away and put back is no deletion.
"""

Remembered = Callable[[str], str | None]
"""Return the document of a digest, None when the store has none."""


Further = Callable[[Iterable[tuple["Document", AnyPolicy]]], Sequence[Problem]]
"""Return what these settings do not allow in policies that are valid by themselves."""


def nothing_further(_: Iterable[tuple[Document, AnyPolicy]]) -> Sequence[Problem]:
    """Return nothing: whatever is valid is allowed."""
    return ()


Check = Callable[[PolicyResource, float, "Sequence[Defaults]"], PolicySet]
"""Return the policy of a resource, at this time between two ticks, with these defaults; raise InvalidPolicy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What is known of one resource. good: the last valid version, of generation `accepted`; problems: the newest's."""

    resource: PolicyResource
    good: PolicySet | None
    accepted: int
    problems: tuple[Problem, ...] = ()
    gone_since: float | None = None

    @property
    def origin(self) -> str:
        """Return how problems name it."""
        return origin_of(self.resource)


def origin_of(resource: PolicyResource) -> str:
    """Return how problems name a resource."""
    return f"crd:{resource.namespace}/{resource.name}"


class ResourceBook:
    """The resources as they were last read, each with its last good version."""

    def __init__(
        self,
        step_s: float,
        remembered: Remembered = lambda _: None,
        elapsed_s: Callable[[], float] = time.monotonic,
        check: Check | None = None,
    ) -> None:
        self._step_s = step_s
        self._check = check or checked
        self._defaults: tuple[Defaults, ...] = ()
        self._anew = False
        self._remembered = remembered
        self._elapsed_s = elapsed_s
        self.entries: Mapping[str, Entry] = {}
        self.reading = ResourcesReading(found={})

    def take(self, reading: ResourcesReading, defaults: Sequence[Defaults] = ()) -> None:
        """Take what was read. defaults: those of files, which resources take over; others are read with them anew."""
        now, entries = self._elapsed_s(), {}
        self._anew, self._defaults = tuple(defaults) != self._defaults, tuple(defaults)
        for key, resource in reading.found.items():
            entries[key] = self._entry(resource, self.entries.get(key))
        for key, entry in self.entries.items():
            if key not in entries and (kept := self._kept(entry, reading, now)) is not None:
                entries[key] = kept
        self.entries, self.reading = dict(sorted(entries.items())), reading

    def _kept(self, entry: Entry, reading: ResourcesReading, now: float) -> Entry | None:
        """Return the entry of a resource that is not there, None once that is a deletion."""
        if entry.resource.kind in reading.unknown:
            return replace(entry, gone_since=None)
        since = now if entry.gone_since is None else entry.gone_since
        if now - since < GONE_S:
            return replace(entry, gone_since=since)
        _LOG.info("policy_deleted", extra={"policy": entry.resource.key, "origin": entry.origin})
        return None

    def _entry(self, resource: PolicyResource, before: Entry | None) -> Entry:
        if before is not None and not self._anew and _same(before.resource, resource):
            return replace(before, resource=resource, gone_since=None)
        try:
            made = self._check(resource, self._step_s, self._defaults)
        except InvalidPolicy as err:
            return self._refused(resource, before, err.problems)
        except Exception as err:  # a bug on the way of one policy holds that policy alone (S10)
            _LOG.exception("policy_not_read", extra={"policy": resource.key})
            message = f"a bug, see the log: {type(err).__name__}: {err}"
            problem = Problem(file=origin_of(resource), line=0, column=0, field="", message=message)
            return self._refused(resource, before, (problem,))
        _LOG.info("policy_loaded", extra={"policy": resource.key, "generation": resource.generation})
        return Entry(resource=resource, good=made, accepted=resource.generation)

    def _refused(self, resource: PolicyResource, before: Entry | None, problems: tuple[Problem, ...]) -> Entry:
        for problem in problems:
            _LOG.error("policy_refused", extra={"problem": str(problem), "generation": resource.generation})
        if before is not None and before.resource.uid == resource.uid:
            return Entry(resource=resource, good=before.good, accepted=before.accepted, problems=problems)
        good = self._recalled(resource)
        accepted = 0 if good is None else int(resource.status.get("acceptedGeneration") or 0)
        return Entry(resource=resource, good=good, accepted=accepted, problems=problems)

    def _recalled(self, resource: PolicyResource) -> PolicySet | None:
        """Return the last good version that its status names, as the store kept it: this process never saw it."""
        digest = str(resource.status.get("digest") or "")
        document = self._remembered(digest) if digest else None
        if document is None:
            return None
        try:
            made = language.parse(document, origin_of(resource), self._step_s)
        except InvalidPolicy:
            return None
        return made if [policy.key for policy in made.every] == [resource.key] else None


def checked(
    resource: PolicyResource, step_s: float, defaults: Sequence[Defaults] = (), further: Further = nothing_further
) -> PolicySet:
    """Return the policy of a resource, a set of one; raise InvalidPolicy with every problem."""
    document = {
        "apiVersion": API_VERSION,
        "kind": resource.kind,
        "metadata": {"name": resource.name, "namespace": resource.namespace, "labels": dict(resource.labels)},
        "spec": resource.spec,
    }
    from aiops.policy.checking import checked as read

    found = read([(origin_of(resource), json.dumps(document))], step_s, defaults)
    problems = (*found.errors, *further(found.made))
    if found.policies is None or problems:
        # the text was written here: its lines and columns are nobody's
        raise InvalidPolicy([replace(one, line=0, column=0) for one in problems])
    return found.policies


def _same(one: PolicyResource, other: PolicyResource) -> bool:
    """Return whether two readings show the same document. A status counts for nothing: we write it ourselves."""
    return (one.uid, one.generation, one.labels) == (other.uid, other.generation, other.labels)
