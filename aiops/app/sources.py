"""Where a daemon's policies come from: files, and the API of a cluster where that is read."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from aiops.app.merging import Policy
from aiops.app.policies import FolderPolicySource, MergedPolicySource, Merging, Watching
from aiops.app.scrape_settings import local_sources
from aiops.app.scraped_policies import refused
from aiops.app.settings import Settings
from aiops.core.model import PolicyKey
from aiops.core.policies import PolicySet
from aiops.errors import InvalidPolicy, NotFound
from aiops.policy import recompile
from aiops.ports import PolicyResources

if TYPE_CHECKING:
    from aiops.adapters.store import Store


def policies_of(
    settings: Settings, store: Store, resources: PolicyResources | None
) -> FolderPolicySource | MergedPolicySource:
    """Return the policies of the settings; raise InvalidPolicy when the files are no good at first."""
    standing = store.journal.load().effects
    adopted = _noting(store)
    further = partial(refused, local=local_sources(settings))
    if resources is None:
        watching = Watching(adopted=adopted, standing=bool(standing), further=further)
        return FolderPolicySource(settings.policies, settings.step, watching)
    # whoever has all policies as resources has no files
    files = FolderPolicySource(settings.policies, settings.step, Watching(optional=True, further=further))
    merging = Merging(
        adopted=adopted,
        stood=_stood(store, {effect.policy for effect in standing.values()}, files.current()),
        remembered=lambda digest: _document(store, digest),
        required=settings.custom_resources.enabled is True,
        further=further,
    )
    return MergedPolicySource(files, resources, merging)


def _noting(store: Store) -> Callable[[PolicySet], None]:
    """Return what keeps the documents of a set, and records for the audit which of them are new, changed or gone."""
    # who wrote a file or an object is known where it was written; here it is known who took it
    by = f"policies of {socket.gethostname()}"

    def adopted(policies: PolicySet) -> None:
        store.journal.note_policies(policies)
        store.audit.note_policies({policy.key: policy.digest for policy in policies.every}, by, time.time())

    return adopted


def _stood(store: Store, keys: set[PolicyKey], files: PolicySet) -> Mapping[PolicyKey, Policy]:
    """Return the policies whose work stands in the clusters, and that are not those of files, as they last decided."""
    from aiops.adapters.store import Asked

    found: dict[PolicyKey, Policy] = {}
    for key in keys - {policy.key for policy in files.every}:
        for row in store.reader.decisions(Asked(policy=key, limit=1)):
            document = _document(store, store.reader.decision(row["id"]).decision.policy_digest)
            try:
                policy = None if document is None else recompile(document)
            except InvalidPolicy:
                policy = None
            if policy is not None and policy.key == key:
                found[key] = policy
    return found


def _document(store: Store, digest: str) -> str | None:
    try:
        return store.reader.policy_document(digest)
    except NotFound:
        return None
