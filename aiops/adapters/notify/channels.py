"""People, through apprise: Slack, Teams, e-mail, PagerDuty and a hundred more, each an URL of the settings."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from aiops.adapters.notify.answers import Told, refused
from aiops.core.model import StepStatus
from aiops.errors import ConfigurationError

if TYPE_CHECKING:
    from apprise import NotifyBase

_LOG = logging.getLogger("aiops.notify")
MAX_TITLE, MAX_TEXT = 200, 4_000
CHANNEL_S = 5.0
"""How long a turn waits for channels; each may have several receivers, and apprise asks them one after another."""


@dataclass(slots=True)
class Channel:
    """Receivers that are told together. urls: apprise's, with their secrets."""

    name: str
    urls: Sequence[str] = field(repr=False)
    _receivers: tuple[NotifyBase, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        from apprise import Apprise  # takes 0.2 s, and only who has channels needs it

        # it logs the URLs that it does not understand, and they hold secrets; what fails is said here
        logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
        made = [Apprise.instantiate(url, suppress_exceptions=True) for url in self.urls]
        for number, one in enumerate(made, 1):
            if one is None:
                where = f"notify.channels.{self.name}: URL {number} of {len(made)}"
                raise ConfigurationError(f"{where} is none that apprise understands")
        self._receivers = tuple(one for one in made if one is not None)
        if not self._receivers:
            raise ConfigurationError(f"notify.channels.{self.name}: there is no URL")

    def tell(self, title: str, text: str) -> Told:
        """Tell every receiver once; it is told when one of them took it, and the others are named in the log."""
        failed = [str(number) for number, one in enumerate(self._receivers, 1) if not self._took(one, title, text)]
        if len(failed) == len(self._receivers):
            return refused(f"channel {self.name}: none of {len(failed)} receivers took it")
        if failed:
            _LOG.warning("notification_failed", extra={"channel": self.name, "receivers": ", ".join(failed)})
        missed = f"; not receiver {', '.join(failed)}" if failed else ""
        return Told(status=StepStatus.DONE, message=f"channel {self.name}{missed}")

    def _took(self, receiver: NotifyBase, title: str, text: str) -> bool:
        try:
            return bool(receiver.notify(body=text[:MAX_TEXT], title=title[:MAX_TITLE], body_format="text"))
        except Exception as err:  # a hundred services, each with failures of its own
            _LOG.warning("notification_failed", extra={"channel": self.name, "error": type(err).__name__})
            return False


def urls_of(name: str, urls: Sequence[str], file: Path | None) -> tuple[str, ...]:
    """Return the URLs of a channel: those given, and one on each line of a file; raise ConfigurationError."""
    if file is None:
        return tuple(urls)
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as err:
        raise ConfigurationError(f"notify.channels.{name}.urls_file: {file}: {err}") from err
    return (*urls, *(line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")))
