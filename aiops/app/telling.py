"""What follows the audit chain of a daemon, as the settings ask for it: people, events, anchors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiops.adapters.notify.notices import Severity
from aiops.adapters.notify.routes import Route
from aiops.app.auditing import Anchoring
from aiops.app.following import EVENTS, PEOPLE, Bounds, Following, People, Tell
from aiops.app.notify_settings import EventSettings, NotifySettings, RouteSettings, channels_of, endpoints_of
from aiops.core.model import Instant
from aiops.policy.schedule import window

if TYPE_CHECKING:
    from aiops.adapters.metrics import FollowingNumbers
    from aiops.adapters.notify import Channel
    from aiops.adapters.store import Store
    from aiops.app.audit_settings import AuditSettings
    from aiops.app.publishing import Post, Publisher

CHANNEL_S = 30.0
"""How long one channel may take; nothing but what else waits for it is delayed by that."""

ANCHOR_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What followers need of the daemon. labels: of a policy, by its key."""

    leads: Callable[[], bool]
    labels: Callable[[str], Mapping[str, str]]
    clock: Callable[[], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Followers:
    """What follows, and what is told of it as metrics."""

    run: Following
    people: People | None = None
    events: Publisher | None = None

    def numbers(self) -> FollowingNumbers:
        """Return how it goes."""
        from aiops.adapters.metrics import FollowingNumbers

        people, events = self.people, self.events
        return FollowingNumbers(
            waiting={} if people is None else people.waits(),
            lost={} if people is None else dict(people.given_up),
            failing={} if people is None else dict.fromkeys(people.failing, True),
            events_sent=None if events is None else events.sent,
            events_refused=0 if events is None else events.refused,
            events_failing=events is not None and bool(events.failing),
        )

    def unwell(self) -> list[str]:
        """Return what does not work now, for people."""
        wrong = (
            [] if self.people is None else [f"{lane} is not told: {why}" for lane, why in self.people.failing.items()]
        )
        if self.events is not None and self.events.failing:
            wrong.append(f"events are not taken: {self.events.failing}")
        return wrong


def following(store: Store, settings: tuple[NotifySettings, AuditSettings], around: Around) -> Followers:
    """Return what follows the chain; raise ConfigurationError for a channel or an endpoint that cannot be used."""
    notify, audit = settings
    turns: dict[str, Callable[[Instant], None]] = {"anchors": _anchors(Anchoring(store, audit, around.clock))}
    run = Following(turns, around.leads, around.clock)
    people = events = None
    names = []
    if notify.routes:
        people = People(store, routes_of(notify), telling(channels_of(notify)), around.labels, bounds_of(notify))
        turns["people"], run.gained = people.turn, people.forget
        names.append(PEOPLE)
    if notify.events is not None:
        events = publisher(store, notify.events, posting(notify, notify.events))
        turns["events"] = events.turn
        names.append(EVENTS)

    def begins() -> None:
        for name in names:
            store.notices.cursor(name)

    run.begins = begins
    return Followers(run=run, people=people, events=events)


def _anchors(anchoring: Anchoring) -> Callable[[Instant], None]:
    """Return a turn that looks once a minute whether an anchor is due."""
    looked_at = [-ANCHOR_S]

    def turn(now: Instant) -> None:
        if now - looked_at[0] >= ANCHOR_S:
            looked_at[0] = now
            anchoring.due()

    return turn


def publisher(store: Store, settings: EventSettings, post: Post) -> Publisher:
    """Return what publishes the events that the settings ask for."""
    from aiops.app.publishing import Publisher

    return Publisher(store, post, source=settings.source, kinds=frozenset(settings.types), size=settings.batch)


def bounds_of(settings: NotifySettings) -> Bounds:
    """Return how long, and how much of it, waits."""
    return Bounds(keep_s=settings.keep, most=settings.max_waiting)


def routes_of(settings: NotifySettings) -> tuple[Route, ...]:
    """Return one route for each channel of each route of the settings."""
    return tuple(_route(one, channel) for one in settings.routes for channel in one.channels)


def _route(one: RouteSettings, channel: str) -> Route:
    quiet = tuple(window(each.schedule, each.duration, each.time_zone) for each in one.quiet)
    return Route(
        name=one.name,
        channel=channel,
        kinds=frozenset(one.kinds),
        severity=Severity[one.severity.upper()],
        policies=one.policies,
        labels=one.labels,
        by=one.group_by,
        group_wait_s=one.group_wait,
        group_interval_s=one.group_interval,
        repeat_s=one.repeat,
        ends=one.ends,
        quiet=tuple(each.active_until for each in quiet),
        passes=Severity[one.passes.upper()],
        zone=one.time_zone,
        title=one.title,
        text=one.text,
    )


def telling(channels: list[Channel], limit_s: float = CHANNEL_S) -> Tell:
    """Return what tells a channel; one that fails is left alone for a while, longer each time."""
    from aiops.adapters.notify.answers import Patience

    known = {one.name: (one, Patience(f"channel {one.name}", limit_s)) for one in channels}

    def tell(name: str, title: str, text: str) -> str:
        channel, patience = known[name]
        told = patience.tell(lambda: channel.tell(title, text))
        return "" if told.taken else told.message

    return tell


def posting(settings: NotifySettings, events: EventSettings) -> Post:
    """Return what posts a batch of events to the endpoint that they go to."""
    from aiops.adapters.events import BATCH
    from aiops.adapters.notify.webhook import Letter
    from aiops.app.publishing import Posted

    (endpoint,) = [one for one in endpoints_of(settings) if one.name == events.endpoint]

    def post(body: bytes, key: str, at: Instant) -> Posted:
        told = endpoint.send(body, Letter(key=key, at=at, content_type=BATCH))
        return Posted(taken=told.taken, code=told.code, said=told.message)

    return post
