"""Settings of what is scraped: what is wrong is said with its place, what is right becomes targets."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiops.app.doctor.scraped import checks
from aiops.app.scrape_settings import local_sources
from aiops.app.scraping import scrape_options
from aiops.app.settings import Settings, load_settings
from aiops.errors import ConfigurationError
from aiops.policy import load

ROOT = Path(__file__).parents[2]
JOBS = "scrape: {jobs: {node: {targets: ['http://10.0.0.9/metrics']}}"
PROMETHEUS = "\nprometheus: {url: 'http://prometheus:9090'}"


@pytest.fixture
def written(tmp_path):
    def write(text: str) -> Path:
        file = tmp_path / "aiops.yaml"
        file.write_text(text)
        return file

    return write


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("scrape: {}", "1:1: scrape.jobs: Field required"),
        ("scrape: {jobs: {}}", "1:10: scrape.jobs: Dictionary should have at least 1 item"),
        ("scrape: {jobs: {a: {targets: []}}}", "scrape.jobs.a: targets: there is none"),
        (
            "scrape: {jobs: {a: {targets: ['10.0.0.9:9100']}}}",
            "1:31: scrape.jobs.a.targets[0]: an address is http(s)://HOST:PORT/metrics",
        ),
        (
            "scrape: {jobs: {a: {targets: ['http://me:pw@x/']}}}",
            "1:31: scrape.jobs.a.targets[0]: an address is http(s)://HOST:PORT/metrics",
        ),
        ("scrape: {jobs: {a: {targets: ['http://x'], metrics: ['a(']}}}", "'a(' is no regular expression"),
        ("scrape: {jobs: {a: {targets: ['http://x'], cert_file: c}}}", "cert_file and key_file belong together"),
        ("scrape: {jobs: {a: {targets: ['http://x'], username: u, bearer_token: t}}}", "not both"),
        ("scrape: {jobs: {a: {target: ['http://x']}}}", "(did you mean 'targets'?)"),
        (f"{JOBS}, timeout: 20s}}", "jobs.node: its timeout (20 s) is longer than its interval (15 s)"),
        (f"{JOBS}, keep: 1m}}", "scrape.keep"),
        (f"{JOBS}}}\nsimulation: {{scenario: x}}", "simulation stands in for prometheus, sources, scrape"),
        (f"{JOBS}}}\nsources: {{scrape: {{url: 'http://x'}}}}", "give the other one of `sources` another name"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(written, text, said):
    with pytest.raises(ConfigurationError) as refusal:
        load_settings(written(text))
    assert said in str(refusal.value)
    assert "pw@" not in str(refusal.value)


def test_which_queries_are_answered_here(written):
    assert local_sources(Settings()) == frozenset()
    assert local_sources(load_settings(written(f"{JOBS}}}"))) == {"", "scrape"}
    assert local_sources(load_settings(written(f"{JOBS}}}{PROMETHEUS}"))) == {"scrape"}


def test_every_target_of_a_job_has_its_settings_and_no_secret_is_shown(written):
    text = """
scrape:
  interval: 30s
  jobs:
    shop:
      targets: ["https://10.0.0.5:8443/metrics", "https://10.0.0.6/m"]
      labels: {namespace: shop}
      metrics: [http_.*]
      bearer_token: s3cret
      timeout: 2s
    node: {targets: ["http://10.0.0.9:9100/metrics"], interval: 10s, max_bytes: 1M}
"""
    options = scrape_options(load_settings(written(text)).scrape)
    assert [one.own for one in options.targets] == [
        {"job": "shop", "instance": "10.0.0.5:8443", "namespace": "shop"},
        {"job": "shop", "instance": "10.0.0.6:443", "namespace": "shop"},
        {"job": "node", "instance": "10.0.0.9:9100"},
    ]
    assert [(one.interval_s, one.timeout_s, one.max_bytes) for one in options.targets] == [
        (30.0, 2.0, 10_000_000),
        (30.0, 2.0, 10_000_000),
        (10.0, 5.0, 1_000_000),
    ]
    assert options.targets[0].access.token() == "s3cret"
    assert "s3cret" not in repr(options)


def test_the_profile_of_the_edge_is_loaded_with_its_policies():
    settings = load_settings(ROOT / "config/edge.yaml")
    assert (settings.web.enabled, settings.step, settings.scrape.interval) == (False, 30.0, 30.0)
    assert local_sources(settings) == {"", "scrape"}
    assert [one.key for one in load([ROOT / one for one in settings.policies]).watches] == [
        "WatchPolicy/edge/node-load",
        "WatchPolicy/edge/node-memory",
    ]


def test_the_doctor_looks_at_targets_only_where_there_are_some():
    class Scene:
        settings = Settings()

    assert checks(Scene()) == []
