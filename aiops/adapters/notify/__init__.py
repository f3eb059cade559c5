"""What is told: signed webhooks to endpoints that the settings allow, and people through apprise's channels."""

from aiops.adapters.notify.channels import Channel, urls_of
from aiops.adapters.notify.notifications import Notifications
from aiops.adapters.notify.webhook import Endpoint

__all__ = ["Channel", "Endpoint", "Notifications", "urls_of"]
