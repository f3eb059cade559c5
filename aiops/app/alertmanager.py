"""A daemon's ties to Alertmanager, as the settings ask for them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiops.app.alertmanager_settings import AlertmanagerSettings
from aiops.app.silenced import HeardControls, SilencedControls
from aiops.core.model import Incident
from aiops.core.policies import PolicySet
from aiops.errors import ConfigurationError
from aiops.ports import Controls

if TYPE_CHECKING:
    from aiops.adapters.alertmanager import Alertmanager, IncidentSender, SilenceWatch
    from aiops.adapters.metrics import AlertmanagerNumbers
    from aiops.adapters.store import Store


@dataclass(frozen=True, slots=True)
class Ties:
    """What runs beside the loop. senders: one for each Alertmanager; watch: None where silences are not honoured."""

    settings: AlertmanagerSettings
    senders: tuple[IncidentSender, ...] = ()
    watch: SilenceWatch | None = None

    def controls(self, inner: Controls, store: Store, policies: Callable[[], PolicySet]) -> Controls:
        """Return the controls with what Alertmanager says."""
        heard = HeardControls(inner, store.alerts, self.settings.webhook.max_age, time.time)
        if self.watch is None:
            return heard
        return SilencedControls(heard, self.watch, policies, self.settings.silences.max_age)

    def note(self, incidents: Sequence[Incident]) -> None:
        """Take the incidents of a tick; returns at once."""
        for sender in self.senders:
            sender.note(incidents)

    def start(self) -> None:
        """Begin to send and to look."""
        if self.watch is not None:
            self.watch.start()
        for sender in self.senders:
            sender.start()

    def stop(self, timeout_s: float) -> None:
        """Tell what has not been told, and end."""
        for sender in self.senders:
            sender.stop(timeout_s / (len(self.senders) + 1))
        if self.watch is not None:
            self.watch.stop(timeout_s / (len(self.senders) + 1))

    def numbers(self) -> AlertmanagerNumbers:
        """Return what is told of it as metrics."""
        from aiops.adapters.metrics import AlertmanagerNumbers

        return AlertmanagerNumbers(
            sent={one.client.url: one.sent for one in self.senders},
            failed={one.client.url: one.failures for one in self.senders},
            silences_failed=0 if self.watch is None else self.watch.failures,
            silences_age_s=None if self.watch is None else self.watch.age_s,
        )

    def unwell(self) -> list[str]:
        """Return what does not work now, for people."""
        wrong = [f"incidents are not sent: {one.failing}" for one in self.senders if one.failing]
        if self.watch is not None and self.watch.failing:
            wrong.append(f"silences are not read: {self.watch.failing}")
        return wrong


def ties(settings: AlertmanagerSettings, *, virtual: bool) -> Ties:
    """Return the ties that the settings ask for; a virtual world tells and heeds nobody outside of it."""
    if virtual or not settings.urls:
        return Ties(settings)
    from aiops.adapters.alertmanager import Form, IncidentSender, SilenceWatch

    form = Form(refresh_s=settings.incidents.refresh, labels=settings.incidents.labels)
    sends = settings.incidents.enabled
    return Ties(
        settings,
        senders=tuple(IncidentSender(one, form, time.time) for one in clients(settings)) if sends else (),
        watch=SilenceWatch(clients(settings), settings.silences.every) if settings.silences.enabled else None,
    )


def clients(settings: AlertmanagerSettings) -> tuple[Alertmanager, ...]:
    """Return one client for each Alertmanager; raise ConfigurationError when a file is missing."""
    from aiops.adapters.alertmanager import Alertmanager, AlertmanagerOptions

    return tuple(
        Alertmanager(
            AlertmanagerOptions(
                url=url,
                bearer_token="" if settings.bearer_token is None else settings.bearer_token.get_secret_value(),
                bearer_token_file=settings.bearer_token_file,
                username=settings.username or "",
                password="" if settings.password is None else settings.password.get_secret_value(),
                ca_file=settings.ca_file,
                cert_file=settings.cert_file,
                key_file=settings.key_file,
                insecure_skip_verify=settings.insecure_skip_verify,
                headers={name: value.get_secret_value() for name, value in settings.headers.items()},
                timeout_s=settings.timeout,
            )
        )
        for url in settings.urls
    )


def webhook_token(settings: AlertmanagerSettings) -> str:
    """Return the token that may only tell alerts, '' without one; raise ConfigurationError when it cannot be read."""
    file = settings.webhook.token_file
    if file is None:
        return ""
    try:
        token = file.read_text(encoding="utf-8").strip()
    except OSError as err:
        raise ConfigurationError(f"alertmanager.webhook.token_file: {file} cannot be read: {err.strerror}") from err
    if not token:
        raise ConfigurationError(f"alertmanager.webhook.token_file: {file} is empty")
    return token
