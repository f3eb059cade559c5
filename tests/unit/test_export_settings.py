"""Settings of what is told to other autoscalers: nothing by default, nobody unknown off loopback (S10)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from aiops.app.exports import keda, started
from aiops.app.settings import load_settings
from aiops.errors import ConfigurationError
from tests.outlooks import Stage, sight

ROOT = Path(__file__).parents[2]
PAIR = "cert_file: a.crt, key_file: a.key"


def exported(tmp_path, text: str):
    path = tmp_path / "aiops.yaml"
    path.write_text(f"export: {{{text}}}\n")
    return load_settings(path).export


def test_nothing_is_served_by_default_and_all_of_it_on_loopback(tmp_path):
    for export in (load_settings(None).export, load_settings(ROOT / "config" / "default.yaml").export):
        assert (export.external_metrics.enabled, export.keda.enabled) == (False, False)
        assert {export.external_metrics.host, export.keda.host} == {"127.0.0.1"}
    serving: list[object] = []
    started(load_settings(None), Stage(sight()).viewer, serving.append)
    assert serving == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("external_metrics: {enabled: true}", "cert_file, key_file and client_ca_file are needed"),
        (f"external_metrics: {{enabled: true, {PAIR}}}", "cert_file, key_file and client_ca_file are needed"),
        (f"external_metrics: {{enabled: true, {PAIR}, client_ca_file: c, allowed_names: []}}", "allowed_names"),
        ("keda: {enabled: true, host: 0.0.0.0}", "host 0.0.0.0 is not loopback: set cert_file, key_file and client_ca"),
        (f"keda: {{enabled: true, host: 0.0.0.0, {PAIR}}}", "host 0.0.0.0 is not loopback"),
        ("keda: {cert_file: a.crt}", "cert_file and key_file come together"),
        ("keda: {client_ca_file: c}", "client_ca_file needs cert_file and key_file"),
        ("keda: {push_every: 0s}", "push_every"),
        ("max_age: 1m", "max_age"),
        ("keda: {prot: 1}", "did you mean 'port'?"),
    ],
)
def test_a_setting_that_would_serve_strangers_or_the_past_is_refused_s10(tmp_path, text, said):
    with pytest.raises(ConfigurationError) as caught:
        exported(tmp_path, text)
    assert said in str(caught.value)


def test_keda_on_loopback_needs_no_certificates(tmp_path):
    server = keda(exported(tmp_path, "keda: {enabled: true, port: 0}").keda, Stage(sight()).viewer)
    server.start()
    try:
        assert server.port > 0
    finally:
        server.stop(5)


WITHOUT = """
import sys
sys.modules["grpc"] = None  # as where the extra is not installed
from aiops.app.exports import keda
from aiops.app.settings import KedaSettings
from aiops.errors import ConfigurationError
try:
    keda(KedaSettings(enabled=True), None)
except ConfigurationError as err:
    print(err, err.exit_code)
"""


def test_without_the_extra_the_start_ends_with_what_to_install():
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, cwd=ROOT, timeout=30)
    assert "grpc is not installed (install aiops with the extra keda: pip install 'aiops[keda]') 3" in done.stdout
