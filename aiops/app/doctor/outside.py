"""Alertmanager, who may be told, and prices. Nothing is sent to anybody."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from aiops.app.alertmanager import clients, webhook_token
from aiops.app.doctor.findings import Area, Check, Finding, fail, failed, ok, skip, warn
from aiops.app.doctor.scene import MOST_SAID, Scene, listed
from aiops.app.notify_settings import NotifySettings, channels_of, endpoints_of
from aiops.core.planning.remediation import DoPage, DoWebhook, RemediationPolicy
from aiops.errors import AiopsError, ConfigurationError


def checks(scene: Scene) -> list[Check]:
    """Return the checks of what is told and asked beside metrics and clusters."""
    settings = scene.settings
    made = [_alertmanager(scene, number, url) for number, url in enumerate(settings.alertmanager.urls)]
    if not made:
        why = "no Alertmanager is set: incidents are not sent to one, and no silences are honoured"
        made = [Check(area=Area.ALERTMANAGER, name="alertmanager", look=lambda: [skip("alertmanager", why)])]
    if settings.alertmanager.webhook.token_file is not None:
        made.append(Check(area=Area.ALERTMANAGER, name="alertmanager: webhook", look=lambda: _webhook(scene)))
    return [
        *made,
        Check(area=Area.NOTIFY, name="notify", look=lambda: _channels(scene)),
        Check(area=Area.NOTIFY, name="notify: policies", look=lambda: _told(scene)),
        Check(area=Area.PRICES, name="prices", look=lambda: _prices(scene)),
    ]


def _alertmanager(scene: Scene, number: int, url: str) -> Check:
    settings = scene.settings.alertmanager
    name = f"alertmanager {url}"
    short = settings.model_copy(update={"urls": (url,), "timeout": min(settings.timeout, scene.timeout_s)})

    def look() -> Iterator[Finding]:
        (client,) = clients(short)
        try:
            silences = client.silences()
        finally:
            client.close()
        yield ok(name, f"answers; {len(silences)} silences, expired ones among them")

    return Check(area=Area.ALERTMANAGER, name=name, look=look, reaches=True)


def _webhook(scene: Scene) -> Iterator[Finding]:
    name = "alertmanager: webhook"
    try:
        webhook_token(scene.settings.alertmanager)
    except ConfigurationError as err:
        yield failed(name, err, "mount the file, or leave webhook.token_file out")
        return
    yield ok(name, "its token can be read")


# -- who may be told ---------------------------------------------------------------------------------------


def _channels(scene: Scene) -> Iterator[Finding]:
    settings = scene.settings.notify
    if not settings.channels and not settings.endpoints:
        yield skip("notify", "nobody may be told: no channels and no endpoints are set")
        return
    for name, channel in settings.channels.items():
        yield from _usable(f"channel {name}", NotifySettings(channels={name: channel}))
    for name, endpoint in settings.endpoints.items():
        yield from _usable(f"endpoint {name}", NotifySettings(endpoints={name: endpoint}))
    used = {name for route in settings.routes for name in route.channels}
    idle = sorted(set(settings.channels) - used)
    if idle and not settings.routes:
        yield warn("notify", "there are channels and no routes: only plans tell anybody", "see docs/notify.md")


def _usable(name: str, settings: NotifySettings) -> Iterator[Finding]:
    """Find what cannot be used; nothing is sent: `aiops notify test` does that."""
    try:
        channels_of(settings)
        for one in endpoints_of(settings):
            secret = one.secret_file.read_text(encoding="utf-8").strip()
            if not secret:
                raise ConfigurationError(f"{one.secret_file} is empty")
    except ConfigurationError as err:
        yield failed(name, err, "correct it in the settings; see docs/notify.md")
    except (OSError, UnicodeDecodeError) as err:
        why = err.strerror if isinstance(err, OSError) else "is no text"
        yield fail(name, f"its secret_file cannot be read: {why}", "mount the file, readable for the daemon")
    else:
        yield ok(name, "is well configured; nothing was sent")


def _told(scene: Scene) -> Iterator[Finding]:
    """Find channels and endpoints that policies name, and that the settings do not have."""
    settings, named = scene.settings.notify, 0
    for policy in scene.policies.plans:
        for remedy in [rung.remedy for rung in policy.ladder] if isinstance(policy, RemediationPolicy) else ():
            match remedy:
                case DoPage(channel=name):
                    kind, known = "channel", list(settings.channels)
                case DoWebhook(endpoint=name):
                    kind, known = "endpoint", list(settings.endpoints)
                case _:
                    continue
            named += 1
            if name and name not in known:
                what = f"tells the {kind} {name}; there are {listed(sorted(known)) or 'none'}"
                yield fail(f"policy {policy.key}", what, f"add notify.{kind}s.{name} to the settings")
            elif not known:
                what = "pages people through every channel, and there are none"
                yield warn(f"policy {policy.key}", what, "add one to notify.channels in the settings")
    if not named:
        yield skip("notify: policies", "no policy names a channel or an endpoint")


# -- prices ------------------------------------------------------------------------------------------------


def _prices(scene: Scene) -> Iterator[Finding]:
    settings = scene.settings.prices
    asked = [one.key for one in scene.policies.budgets]
    asked += [one.key for one in scene.policies.plans if one.key.startswith("Cost")]
    priced = [one.key for one in scene.policies.scaling if one.objective.price is not None]
    nothing = settings.list is None and settings.opencost is None and settings.default is None and not settings.targets
    if nothing and scene.settings.simulation is None:
        if asked or priced:
            what = f"nothing is priced, and {listed([*asked, *priced])} counts in money"
            yield warn("prices", what, "set prices.list, prices.opencost, prices.default or prices.targets")
        else:
            yield skip("prices", "no prices are set, and no policy needs any")
        return
    try:
        told, errors = _read(scene)
    except AiopsError as err:
        yield failed("prices", err, "`aiops prices check FILE` says more of a list")
        return
    for why in errors[:MOST_SAID]:
        yield warn("prices", f"not asked: {why}", "see the areas metrics and kubernetes")
    every = [one for kind in ("replicas", "nodes") for one in told[kind]]
    unknown = [one for one in every if not one["known"]]
    for one in unknown[:MOST_SAID]:
        yield warn(
            f"price of {one.get('target') or one.get('node')}", f"{one['gap']}: {one['detail']}", "see docs/prices.md"
        )
    ages = [one["age_s"] for one in every if one["known"] and one["age_s"] is not None]
    oldest = f", the oldest {max(ages):.0f} s old" if ages else ""
    pools = f", {len(told['pools'])} kinds of nodes are priced" if told["pools"] else ""
    known = len(every) - len(unknown)
    yield ok("prices", f"{known} of {len(every)} replicas and nodes are priced in {told['currency']}{oldest}{pools}")


def _read(scene: Scene) -> tuple[dict[str, Any], list[str]]:
    from aiops.app.pricelist import Priceable, data, live
    from aiops.app.surroundings import surroundings
    from aiops.ports import Inventory

    settings = scene.settings
    refs = tuple(dict.fromkeys(one.target for one in (*scene.policies.scaling, *scene.members)))
    if settings.simulation is None:
        found = live(settings, refs, scene.now())
    else:
        world = surroundings(settings)
        at = world.present()
        book = world.prices.book(refs, Inventory(workloads={}), at)
        found = Priceable(at=at, book=book, targets=refs, kinds={})
    return data(found, settings.prices), list(found.errors)
