"""Settings: file, environment, flags; and what a bad one says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aiops.app.settings import Settings, load_settings
from aiops.app.surroundings import competes
from aiops.core.model import Mode
from aiops.errors import ConfigurationError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def written(tmp_path):
    def write(text: str) -> Path:
        path = tmp_path / "aiops.yaml"
        path.write_text(text)
        return path

    return write


@pytest.mark.parametrize("name", ["default.yaml", "demo.yaml"])
def test_the_shipped_settings_are_well(name):
    assert load_settings(ROOT / "config" / name).step == 15.0


def test_the_environment_wins_over_the_file_and_flags_over_both(written, monkeypatch):
    path = written("mode: observe\nweb: {port: 1111, host: 127.0.0.1}\n")
    monkeypatch.setenv("AIOPS_WEB__PORT", "2222")
    settings = load_settings(path)
    assert (settings.mode, settings.web.port, settings.web.host) == (Mode.OBSERVE, 2222, "127.0.0.1")
    assert load_settings(path, {"web": {"port": 3333}}).web.port == 3333


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "prometheus: {url: 'http://x', timeot: 3s}",
            "1:31: prometheus.timeot: unknown setting (did you mean 'timeout'?)",
        ),
        ("mod: observe", "1:1: mod: unknown setting (did you mean 'mode'?)"),
        ("step: soon", "step: 'soon' is no duration"),
        ("mode: yolo", "1:1: mode:"),
        (
            "web: {authentication: false, kubernetes: {enabled: true}}",
            "authentication: false leaves the token, oidc or kubernetes beside it without an effect",
        ),
        ("web: {host: 0.0.0.0}", "not loopback, and nobody is asked who they are: set web.authentication"),
        ("prometheus: {url: 'prometheus:9090'}", "prometheus.url"),
        ("prometheus: {url: 'http://x/?token=secret'}", "1:14: prometheus.url: paths are added to it"),
        ("alertmanager: {urls: ['http://x/#top']}", "it has no query and no fragment"),
        ("simulation: {scenario: demo}\nprometheus: {url: 'http://x'}", "simulation stands in for prometheus"),
        ("- a list", "one mapping of settings"),
        ("a: [", "this is no YAML"),
    ],
)
def test_a_bad_setting_is_named_with_its_place(written, text, said):
    with pytest.raises(ConfigurationError) as caught:
        load_settings(written(text))
    assert said in str(caught.value)


def test_a_bad_variable_names_itself(monkeypatch):
    monkeypatch.setenv("AIOPS_STEP", "soon")
    with pytest.raises(ConfigurationError, match="AIOPS_STEP"):
        load_settings(None)


def test_secrets_are_not_in_what_is_printed(written):
    settings = load_settings(written("prometheus: {url: 'http://x', bearer_token: hush, headers: {X-Key: hush}}"))
    assert "hush" not in repr(settings)


@pytest.mark.parametrize(
    ("lease", "why"),
    [
        ({"renew": "20s"}, "renew shorter than duration"),
        ({"retry": "12s"}, "retry (12 s) must be shorter than renew (10 s)"),
        ({"namespace": "../x"}, "lease.namespace"),
        ({"enabled": "perhaps"}, "lease.enabled"),
        ({"defer": "20min"}, "lease.defer"),
    ],
)
def test_a_lease_that_two_could_hold_is_refused_s6(tmp_path, lease, why):
    file = tmp_path / "x.yaml"
    file.write_text(json.dumps({"lease": lease}))
    with pytest.raises(ConfigurationError) as refused:
        load_settings(file)
    assert why in str(refused.value)


@pytest.mark.parametrize(
    ("given", "elected"),
    [
        ({"mode": "enforce"}, True),
        ({"mode": "approve"}, True),
        ({"mode": "dry-run"}, False),
        ({"mode": "dry-run", "store": {"url": "postgresql://x/y"}}, True),
        ({"mode": "enforce", "lease": {"enabled": False}}, False),
    ],
)
def test_whoever_writes_what_others_could_write_competes_for_the_lease_s6(given, elected):
    assert competes(Settings(**given)) is elected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sources: {west: {ulr: 'http://x'}}", "sources.west.ulr: unknown setting (did you mean 'url'?)"),
        ("sources: {west: {url: x}}", "sources.west.url: String should match pattern"),
        ("notify: {channels: {oncall: {}}}", "notify.channels.oncall: urls or urls_file is needed"),
        ("notify: {endpoints: {t: {url: 'https://x'}}}", "notify.endpoints.t.secret_file: Field required"),
        ("notify: {endpoint: {}}", "notify.endpoint: unknown setting (did you mean 'endpoints'?)"),
        ("clusters: {eu: {contxt: eu}}", "clusters.eu.contxt: unknown setting (did you mean 'context'?)"),
        ("simulation: {scenario: x}\nsources: {a: {url: 'http://x'}}", "simulation stands in for prometheus, sources"),
    ],
)
def test_what_is_wrong_with_a_named_source_channel_or_endpoint_is_said_with_its_place(written, text, said):
    with pytest.raises(ConfigurationError) as refusal:
        load_settings(written(text))
    assert said in str(refusal.value)


def test_a_named_source_is_asked_for_a_short_time_and_not_again(written):
    settings = load_settings(written("sources: {west: {url: 'http://x'}}"))
    west = settings.sources["west"]
    assert (west.timeout, west.retries, west.jitter) == (3.0, 0, 0.0)


def test_what_tells_is_made_of_the_settings_and_a_simulated_world_tells_nobody(written, tmp_path):
    from aiops.adapters.notify import Notifications
    from aiops.app.notify_settings import notifier
    from aiops.loop.seams import NoNotifier

    (tmp_path / "secret").write_text("long enough for a secret")
    endpoint = {"url": "http://127.0.0.1:1/", "secret_file": str(tmp_path / "secret")}
    notify = load_settings(written(json.dumps({"notify": {"endpoints": {"tickets": endpoint}}}))).notify
    assert isinstance(notifier(notify, virtual=False), Notifications)
    assert isinstance(notifier(notify, virtual=True), NoNotifier)
    assert isinstance(notifier(Settings().notify, virtual=False), NoNotifier)
