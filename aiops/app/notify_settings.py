"""Settings of who may be told: channels of people, and endpoints of signed webhooks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field, SecretStr, model_validator

from aiops.app.section import Section
from aiops.core.decide.quantities import Duration
from aiops.loop.seams import NoNotifier

if TYPE_CHECKING:
    from aiops.ports import Notifier


class ChannelSettings(Section):
    """People who are told together. urls: of apprise; urls_file: more of them, one on each line."""

    urls: tuple[SecretStr, ...] = ()
    urls_file: Path | None = None

    @model_validator(mode="after")
    def somebody(self) -> ChannelSettings:
        """Refuse a channel that reaches nobody."""
        if not self.urls and self.urls_file is None:
            raise ValueError("urls or urls_file is needed")
        return self


class EndpointSettings(Section):
    """Where a webhook goes, and the secret that it is signed with. Redirects are never followed."""

    url: str = Field(pattern=r"^https?://")
    secret_file: Path
    allow_private: bool = False
    ca_file: Path | None = None
    timeout: Duration = Field(5.0, gt=0, le=30)


class NotifySettings(Section):
    """Who may be told by plans, by name; nothing else is ever told or called (S10)."""

    channels: dict[str, ChannelSettings] = Field(default_factory=dict)
    endpoints: dict[str, EndpointSettings] = Field(default_factory=dict)


def notifier(settings: NotifySettings, *, virtual: bool) -> Notifier:
    """Return what tells; a simulated world tells nobody. Raise ConfigurationError for what cannot be used."""
    if virtual or not (settings.channels or settings.endpoints):
        return NoNotifier()
    from aiops.adapters.notify import Channel, Endpoint, Notifications, urls_of

    endpoints = [
        Endpoint(
            name=name,
            url=one.url,
            secret_file=one.secret_file,
            allow_private=one.allow_private,
            ca_file=one.ca_file,
            timeout_s=one.timeout,
        )
        for name, one in settings.endpoints.items()
    ]
    channels = [
        Channel(name, urls_of(name, [url.get_secret_value() for url in one.urls], one.urls_file))
        for name, one in settings.channels.items()
    ]
    return Notifications(endpoints, channels)
