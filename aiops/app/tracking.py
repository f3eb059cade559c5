"""Versions of models, told to an MLflow tracking server beside the loop."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from aiops.app.engine_settings import MlflowSettings
from aiops.core.lineage.version import Version
from aiops.core.model import PolicyKey

if TYPE_CHECKING:
    from aiops.adapters.mlflow import MlflowOptions, Publisher
    from aiops.app.wiring import Built


def tracking(built: Built) -> list[Publisher]:
    """Return what tells the tracking server of the settings, begun; nothing without one, or in a virtual world."""
    settings = built.settings.models.mlflow
    if settings is None or built.world.virtual:
        return []
    from aiops.adapters.mlflow import Publisher, Tracking

    publisher = Publisher(Tracking(options(settings)), lambda: versions(built), settings.every, time.time)
    publisher.start()
    return [publisher]


def options(settings: MlflowSettings) -> MlflowOptions:
    """Return how the tracking server is reached; raise ConfigurationError when a file is missing."""
    from aiops.adapters.mlflow import MlflowOptions

    return MlflowOptions(
        url=settings.url,
        experiment=settings.experiment,
        bearer_token="" if settings.bearer_token is None else settings.bearer_token.get_secret_value(),
        bearer_token_file=settings.bearer_token_file,
        username=settings.username or "",
        password="" if settings.password is None else settings.password.get_secret_value(),
        ca_file=settings.ca_file,
        cert_file=settings.cert_file,
        key_file=settings.key_file,
        insecure_skip_verify=settings.insecure_skip_verify,
        timeout_s=settings.timeout,
    )


def versions(built: Built) -> Mapping[PolicyKey, tuple[Version, ...]]:
    """Return every version with what it has shown until now; nothing while another replica leads (S6).

    The models are locked for one policy at a time: a turn waits for no more than that.
    """
    leadership = built.loop.leadership
    if leadership is None or not leadership.leader:
        return {}
    found = {}
    for policy, lineage in list(built.loop.bank.lineages.items()):
        with built.lock:
            scores = lineage.scores()
            found[policy] = tuple(replace(one, scores=scores.get(one.number, one.scores)) for one in lineage.versions)
    return found
