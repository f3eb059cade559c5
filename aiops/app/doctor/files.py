"""Files of TLS, the audit key, and time zones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from aiops.app.doctor.findings import Area, Check, Finding, fail, failed, ok, skip, warn
from aiops.app.doctor.scene import Scene
from aiops.errors import AiopsError, ConfigurationError
from aiops.policy.schedule import window

SOON_S = 14 * 86_400.0
"""How long before its end a certificate is told of."""

_CERTIFICATES = ("ca_file", "cert_file", "client_ca_file")


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A file that a setting names. section: the path of the settings that hold it."""

    section: str
    setting: str
    path: Path

    @property
    def label(self) -> str:
        """Return the path of the setting."""
        return f"{self.section}.{self.setting}" if self.section else self.setting


def checks(scene: Scene) -> list[Check]:
    """Return the checks of files and schedules."""
    return [
        Check(area=Area.SCHEDULES, name="schedules", look=lambda: _schedules(scene)),
        Check(area=Area.TLS, name="tls", look=lambda: _tls(scene)),
        Check(area=Area.TLS, name="tls: clusters", look=lambda: _clusters(scene)),
    ]


def files_of(value: Any, section: str = "") -> Iterator[Named]:
    """Yield every file that settings name, wherever it stands in them."""
    items: Any = ()
    if isinstance(value, BaseModel):
        items = [(name, getattr(value, name)) for name in type(value).model_fields]
    elif isinstance(value, dict):
        items = value.items()
    for name, inner in items:
        if isinstance(inner, Path) and name.endswith("_file"):
            yield Named(section=section, setting=name, path=inner)
        else:
            yield from files_of(inner, f"{section}.{name}" if section else str(name))


def _tls(scene: Scene) -> Iterator[Finding]:
    from aiops.adapters.certificates import pair

    named = [one for one in files_of(scene.settings) if one.setting in (*_CERTIFICATES, "key_file")]
    if not named:
        yield skip("tls", "no certificates are set")
        return
    for one in named:
        if one.setting in _CERTIFICATES:
            yield of_file(one.label, one.path, scene.now())
    keys = {one.section: one for one in named if one.setting == "key_file"}
    for one in named:
        key = keys.get(one.section)
        if one.setting != "cert_file" or key is None:
            continue
        try:
            pair(one.path, key.path)
        except ConfigurationError as err:
            yield failed(key.label, err, "give the key that the certificate was made for, readable for the daemon")
        else:
            yield ok(key.label, f"{key.path} is the key of {one.path}")


def of_file(name: str, path: Path, now: float) -> Finding:
    """Return whether a file's certificates are valid now, and for some time: the first to end counts."""
    from aiops.adapters.certificates import certificates

    try:
        found = certificates(path)
    except ConfigurationError as err:
        return failed(name, err, "mount the file, readable for the daemon")
    first = min(found, key=lambda one: one.until)
    left_s = first.until - now
    what = f"{path}: {first.subject}"
    if left_s <= 0:
        # of a bundle of authorities some may be over: one that is valid is enough
        over = f"ended {-left_s / 86_400:.0f} days ago"
        if any(one.since <= now < one.until for one in found) and len(found) > 1:
            return warn(name, f"{what} {over}, others of the file are valid", "leave out what is over")
        return fail(name, f"{what} {over}", "renew it; the daemon takes a renewed one without a restart")
    if first.since > now:
        return fail(name, f"{what} is valid in {(first.since - now) / 3600:.1f} hours only", "look at the clocks")
    told = f"{what} is valid for {left_s / 86_400:.0f} days"
    return warn(name, told, "renew it soon") if left_s < SOON_S else ok(name, told)


def _clusters(scene: Scene) -> Iterator[Finding]:
    """Look at the client certificates of kubeconfigs, which end as others do."""
    if scene.settings.simulation is not None:
        return
    from aiops.app.doctor.clusters import door

    for name, one in sorted(scene.clusters.items()):
        try:
            certificate = door(name, one).probe().certificate
        except AiopsError:
            continue  # said in the area kubernetes
        if certificate is not None:
            yield of_file(f"cluster {name}: client certificate", certificate, scene.now())


# -- schedules ---------------------------------------------------------------------------------------------


def _schedules(scene: Scene) -> Iterator[Finding]:
    settings = scene.settings
    wrong = 0
    for one in settings.freezes:
        try:
            window(one.schedule, one.duration, one.time_zone)
        except ValueError as err:
            wrong += 1
            fix = "a schedule is five fields of cron; a time zone is a name such as Europe/Berlin"
            yield fail(f"freeze {one.name}", str(err), fix)
    try:
        window("0 0 * * *", 60.0, "Europe/Berlin")
    except ValueError as err:
        yield fail("schedules", f"no time zones are known here: {err}", "install tzdata in the image")
        return
    if not wrong:
        zones = sorted({one.time_zone for one in settings.freezes} | {one.time_zone for one in scene.policies.scaling})
        yield ok("schedules", f"{len(settings.freezes)} freezes; time zones {', '.join(zones) or 'UTC'} are known")
