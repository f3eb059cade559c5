"""Several clusters in one configuration, each with a metrics source and limits of its own."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from aiops.app.fleet import SourcedPolicies, sources_of
from aiops.app.settings import load_settings
from aiops.app.surroundings import prometheus_options
from aiops.core.policies import PolicySet
from aiops.errors import ConfigurationError
from simulators.ports import FixedPolicies
from tests.builders import policy

FLEET = """
prometheus: {url: "http://prometheus:9090"}
sources:
  eu: {url: "http://prometheus.eu:9090", timeout: 8s, per_second: 20, bearer_token: eu-secret}
  us: {url: "http://prometheus.us:9090", max_series: 5000}
clusters:
  eu: {kubeconfig: /etc/aiops/eu.kubeconfig, source: eu}
  us: {kubeconfig: /etc/aiops/us.kubeconfig, source: us}
  lab: {kubeconfig: /etc/aiops/lab.kubeconfig}
"""


def written(tmp_path, text):
    file = tmp_path / "aiops.yaml"
    file.write_text(text)
    return load_settings(file)


def test_each_cluster_has_its_own_source_credentials_and_limits(tmp_path):
    settings = written(tmp_path, FLEET)
    assert sources_of(settings) == {"eu": "eu", "us": "us"}
    eu, us = (prometheus_options(settings.sources[name]) for name in ("eu", "us"))
    assert (eu.per_s, eu.timeout_s, eu.bearer_token) == (20.0, 8.0, "eu-secret")
    assert (us.per_s, us.max_series, us.bearer_token) == (math.inf, 5000, "")


def test_a_source_that_is_not_there_is_named_with_those_that_are(tmp_path):
    with pytest.raises(ConfigurationError, match=r"clusters.us.source: there is no source 'asia' \(sources: eu, us\)"):
        written(tmp_path, FLEET.replace("source: us}", "source: asia}"))


def test_signals_are_asked_of_the_source_of_their_cluster_where_they_name_none():
    def at(cluster):
        return policy(key=f"ScalingPolicy/shop/{cluster}", target=replace(policy().target, cluster=cluster))

    policies = PolicySet(digest="p", scaling=(at("eu"), at("lab")))
    named = SourcedPolicies(FixedPolicies(policies), {"eu": "west"})
    found = named.current()
    eu, lab = ({spec.query.source for spec in one.signals.values()} for one in found.scaling)
    assert (eu, lab) == ({"west"}, {""})
    assert named.current() is found
    assert (found.digest, found.scaling[0].digest) == (policies.digest, policies.scaling[0].digest)
    assert SourcedPolicies(FixedPolicies(policies), {}).current() is policies
