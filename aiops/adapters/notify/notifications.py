"""ports.Notifier over the endpoints and channels that the settings name; nothing else is ever told (S10)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from aiops.adapters.notify.answers import NOT_ALLOWED, Patience, Told, refused
from aiops.adapters.notify.channels import CHANNEL_S, Channel
from aiops.adapters.notify.templates import quiet
from aiops.adapters.notify.webhook import Endpoint
from aiops.core.model import CallWebhook, Errand, Instant, Message, Notify, Reason, StepResult, StepStatus

GRACE_S = 0.5


class Notifications:
    """Tells each message once, in bounded time; one receiver that hangs delays no other."""

    def __init__(
        self, endpoints: Iterable[Endpoint] = (), channels: Iterable[Channel] = (), *, channel_s: float = CHANNEL_S
    ) -> None:
        self._endpoints = {
            one.name: (one, Patience(f"endpoint {one.name}", one.timeout_s + GRACE_S)) for one in endpoints
        }
        self._channels = {one.name: (one, Patience(f"channel {one.name}", channel_s)) for one in channels}

    def tell(self, errand: Errand, message: Message, at: Instant) -> StepResult:
        """Tell one message; `unknown` when nobody knows whether it arrived, and why not when it did not."""
        told = self._told(errand, message, at)
        reason = Reason.REFUSED if told.status is StepStatus.REFUSED else None
        return StepResult(
            action_id=errand.id, status=told.status, at=at, code=told.code, reason=reason, message=told.message
        )

    def _told(self, errand: Errand, message: Message, at: Instant) -> Told:
        if errand.dry_run:
            return Told(status=StepStatus.DRY_RUN, message=message.summary)
        match message.operation:
            case CallWebhook() as call:
                known = self._endpoints.get(call.endpoint)
                if known is None:
                    return _unnamed("endpoint", call.endpoint, self._endpoints)
                endpoint, patience = known
                return patience.tell(lambda: endpoint.post(errand, message, at))
            case Notify() as note:
                return self._people(note)
            case other:
                return refused(f"{type(other).__name__} is nothing that is told", NOT_ALLOWED)

    def _people(self, note: Notify) -> Told:
        """Tell one channel, or all of them: that is done when one took it."""
        names = [note.channel] if note.channel else sorted(self._channels)
        if not names or (note.channel and note.channel not in self._channels):
            return _unnamed("channel", note.channel, self._channels)
        with ThreadPoolExecutor(len(names), thread_name_prefix="notify") as pool:
            every = list(pool.map(partial(self._channel, note), names))
        words = "; ".join(one.message for one in every if one.message)
        best = min(every, key=lambda one: _ORDER.index(one.status))
        return Told(status=best.status, code=best.code, message=words)

    def _channel(self, note: Notify, name: str) -> Told:
        channel, patience = self._channels[name]
        return patience.tell(partial(channel.tell, quiet(note.title), quiet(note.text)))

    def stop(self) -> None:
        """Take no more."""
        for _, patience in (*self._endpoints.values(), *self._channels.values()):
            patience.stop()


_ORDER = (StepStatus.DONE, StepStatus.DRY_RUN, StepStatus.UNKNOWN, StepStatus.REFUSED)


def _unnamed(what: str, name: str, known: Mapping[str, object]) -> Told:
    names = ", ".join(sorted(known)) or "none"
    asked = f"the settings name no {what} {name!r}" if name else f"the settings name no {what}"
    return refused(f"{asked} ({what}s: {names})", NOT_ALLOWED)
