"""Where policies are read from an API: by word, or where the daemon runs in the cluster itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from aiops.app.settings import Settings, load_settings
from aiops.app.surroundings import competes, reads_resources
from aiops.errors import ConfigurationError


def said(tmp_path: Path, **settings: Any) -> Settings:
    file = tmp_path / "settings.yaml"
    file.write_text(json.dumps(settings))
    return load_settings(file)


INSIDE, OUTSIDE = {"in_cluster": True}, {"kubeconfig": "/etc/aiops/kubeconfig"}
CASES = {
    "true": ({"enabled": True}, {"a": OUTSIDE}, True),
    "false": ({"enabled": False}, {"a": INSIDE}, False),
    "auto, outside": ({}, {"a": OUTSIDE}, False),
    "auto, inside": ({}, {"a": INSIDE}, True),
    "auto, inside one of two": ({"cluster": "b"}, {"a": OUTSIDE, "b": INSIDE}, True),
    "auto, inside the other of two": ({"cluster": "a"}, {"a": OUTSIDE, "b": INSIDE}, False),
    "auto, the first by name": ({}, {"b": INSIDE, "a": OUTSIDE}, False),
}


@pytest.mark.parametrize("name", CASES)
def test_resources_are_read_where_it_is_said_so_or_where_the_daemon_runs(tmp_path: Path, name: str):
    resources, clusters, reads = CASES[name]
    settings = said(tmp_path, custom_resources=resources, clusters=clusters, mode="dry-run")
    assert reads_resources(settings) is reads
    # whoever writes statuses competes with those who would write them, too (S2)
    assert competes(settings) is reads


def test_a_simulated_world_has_no_resources(tmp_path: Path):
    simulation = {"scenario": "flash-crowd"}
    assert not reads_resources(said(tmp_path, simulation=simulation))
    with pytest.raises(ConfigurationError, match="custom_resources are a cluster's: a simulation has none"):
        said(tmp_path, simulation=simulation, custom_resources={"enabled": True})


def test_a_setting_that_is_misspelt_is_said_with_what_is_known(tmp_path: Path):
    with pytest.raises(ConfigurationError, match=r"custom_resources.namespace: unknown setting .*'namespaces'"):
        said(tmp_path, custom_resources={"namespace": ["shop"]})
