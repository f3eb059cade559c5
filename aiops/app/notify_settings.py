"""Settings of who may be told: channels of people, endpoints of signed webhooks, and what goes to whom."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from pydantic import Field, SecretStr, model_validator

from aiops.adapters.notify.notices import NoticeKind
from aiops.app.section import Section
from aiops.core.decide.quantities import Duration
from aiops.core.record.audit import AuditKind
from aiops.errors import ConfigurationError
from aiops.loop.seams import NoNotifier
from aiops.policy.schedule import window

if TYPE_CHECKING:
    from aiops.adapters.notify import Channel, Endpoint
    from aiops.ports import Notifier

_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"
Grade: TypeAlias = Literal["info", "warning", "critical"]


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


class QuietSettings(Section):
    """Hours in which only what is urgent is told: they begin by cron in a time zone, and last so long."""

    schedule: str = "0 22 * * *"
    duration: Duration = Field(9 * 3600.0, gt=0, le=7 * 86_400)
    time_zone: str = "UTC"

    @model_validator(mode="after")
    def known(self) -> QuietSettings:
        """Refuse what is no schedule, or no time zone."""
        window(self.schedule, self.duration, self.time_zone)
        return self


class RouteSettings(Section):
    """Which notices go to which channels, and how; empty lists mean any. See docs/notify.md.

    group_by: kind, severity, subject, namespace, or the name of a policy's label. passes: from this severity on quiet
    hours do not count. repeat: how often what stands is told again. ends: whether its end is told.
    """

    name: str = Field(pattern=_NAME, max_length=30)
    channels: tuple[str, ...] = Field(min_length=1)
    kinds: tuple[NoticeKind, ...] = ()
    severity: Grade = "warning"
    policies: tuple[str, ...] = ()
    labels: dict[str, str] = Field(default_factory=dict)
    group_by: tuple[str, ...] = ("kind",)
    group_wait: Duration = Field(30.0, ge=0, le=3600)
    group_interval: Duration = Field(300.0, ge=0, le=86_400)
    repeat: Duration = Field(4 * 3600.0, ge=60)
    ends: bool = True
    quiet: tuple[QuietSettings, ...] = ()
    passes: Grade = "critical"
    time_zone: str = "UTC"
    title: str = ""
    text: str = ""

    @model_validator(mode="after")
    def tried(self) -> RouteSettings:
        """Refuse a template that fails on an example, and a time zone that is none."""
        window("0 0 * * *", 60.0, self.time_zone)
        for name, template in (("title", self.title), ("text", self.text)):
            if template:
                from aiops.adapters.notify.templates import checked

                try:
                    checked(template, name)
                except ConfigurationError as err:
                    raise ValueError(str(err)) from err
        return self


class EventSettings(Section):
    """CloudEvents of the audit chain to one of the endpoints. types: such as `aiops.decision`; all when left out."""

    endpoint: str
    types: tuple[str, ...] = ()
    source: str = Field("/aiops", min_length=1, max_length=200)
    batch: int = Field(100, ge=1, le=1000)

    @model_validator(mode="after")
    def known(self) -> EventSettings:
        """Refuse a type that no event has."""
        there = [f"aiops.{kind}" for kind in AuditKind]
        wrong = [one for one in self.types if one not in there]
        if wrong:
            raise ValueError(f"types: there is no {wrong[0]} (there are {', '.join(there)})")
        return self


class NotifySettings(Section):
    """Who may be told, by name: by plans, and on the daemon's own account by routes; nothing else ever is (S10).

    keep, max_waiting: how long, and how much of it, waits for a channel that fails.
    """

    channels: dict[str, ChannelSettings] = Field(default_factory=dict)
    endpoints: dict[str, EndpointSettings] = Field(default_factory=dict)
    routes: tuple[RouteSettings, ...] = ()
    events: EventSettings | None = None
    keep: Duration = Field(86_400.0, ge=60)
    max_waiting: int = Field(1000, ge=1, le=100_000)

    @model_validator(mode="after")
    def named(self) -> NotifySettings:
        """Refuse what is not there, and two routes of one name."""
        for route in self.routes:
            for name in route.channels:
                if name not in self.channels:
                    raise ValueError(f"route {route.name}: there is no channel {name} ({_listed(self.channels)})")
        names = [route.name for route in self.routes]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ValueError(f"two routes are called {min(twice)}")
        if self.events is not None and self.events.endpoint not in self.endpoints:
            raise ValueError(f"events: there is no endpoint {self.events.endpoint} ({_listed(self.endpoints)})")
        return self


def _listed(known: Iterable[str]) -> str:
    return f"there are {', '.join(sorted(known))}" if known else "there are none"


def notifier(settings: NotifySettings, *, virtual: bool) -> Notifier:
    """Return what tells; a simulated world tells nobody. Raise ConfigurationError for what cannot be used."""
    if virtual or not (settings.channels or settings.endpoints):
        return NoNotifier()
    from aiops.adapters.notify import Notifications

    return Notifications(endpoints_of(settings), channels_of(settings))


def endpoints_of(settings: NotifySettings) -> list[Endpoint]:
    """Return the endpoints; raise ConfigurationError for one that cannot be used."""
    from aiops.adapters.notify import Endpoint

    return [
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


def channels_of(settings: NotifySettings) -> list[Channel]:
    """Return the channels; raise ConfigurationError for one that reaches nobody."""
    from aiops.adapters.notify import Channel, urls_of

    return [
        Channel(name, urls_of(name, [url.get_secret_value() for url in one.urls], one.urls_file))
        for name, one in settings.channels.items()
    ]
