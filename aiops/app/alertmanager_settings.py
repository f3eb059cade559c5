"""Settings of Alertmanager: what it tells, what it is told, and the silences that are honoured."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr

from aiops.app.section import AccessSettings, BaseUrl, Section
from aiops.core.decide.quantities import Duration


class WebhookSettings(Section):
    """POST /api/v1/alerts, which Alertmanager calls.

    token_file: a bearer token that may do this and nothing else, beside the one of the page. max_age: an alert that was
    not told again for so long is not known to fire; three times Alertmanager's repeat_interval, which is 4h by default.
    """

    token_file: Path | None = None
    max_age: Duration = Field(43_200.0, ge=60)


class IncidentSettings(Section):
    """Incidents that are sent on as alerts. labels: added to each; refresh: how often an open one is sent again."""

    enabled: bool = True
    refresh: Duration = Field(60.0, ge=1)
    labels: dict[str, str] = Field(default_factory=lambda: {"severity": "warning"})


class SilenceSettings(Section):
    """Silences that hold changes as a change freeze does (S9).

    max_age: while silences could not be read for so long, or not yet, changes are held that a freeze would hold.
    """

    enabled: bool = True
    every: Duration = Field(30.0, ge=1)
    max_age: Duration = Field(600.0, ge=10)


class AlertmanagerSettings(AccessSettings):
    """Where Alertmanager is: every member of its group; nothing is sent or read without any."""

    urls: tuple[BaseUrl, ...] = ()
    headers: dict[str, SecretStr] = Field(default_factory=dict)
    timeout: Duration = Field(5.0, ge=0.1, le=60)
    webhook: WebhookSettings = WebhookSettings()
    incidents: IncidentSettings = IncidentSettings()
    silences: SilenceSettings = SilenceSettings()
