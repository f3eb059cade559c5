"""Alertmanager: the webhook that it calls, the alerts that it is sent, and the silences that it holds."""

from aiops.adapters.alertmanager.client import Alertmanager
from aiops.adapters.alertmanager.options import AlertmanagerOptions
from aiops.adapters.alertmanager.outbox import OWN, Form, Outbox
from aiops.adapters.alertmanager.sender import IncidentSender
from aiops.adapters.alertmanager.silences import Matcher, Silence, SilenceWatch
from aiops.adapters.alertmanager.webhook import alerts_of

__all__ = [
    "OWN",
    "Alertmanager",
    "AlertmanagerOptions",
    "Form",
    "IncidentSender",
    "Matcher",
    "Outbox",
    "Silence",
    "SilenceWatch",
    "alerts_of",
]
