"""Debian's Alertmanager on loopback, started and stopped by a test."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.prometheus_server import free_port, ready

CONFIG = """
route: {{receiver: aiops, group_by: [alertname], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}}
receivers:
  - name: aiops
    webhook_configs:
      - url: '{webhook}'
        send_resolved: true
        http_config: {{authorization: {{credentials_file: '{token}'}}}}
"""


@contextmanager
def running_alertmanager(folder: Path, webhook: str, token: Path, port: int | None = None) -> Iterator[str]:
    """Yield the URL of an Alertmanager that calls `webhook` with the token in a file. port: a free one without."""
    binary = shutil.which("prometheus-alertmanager")
    if binary is None:
        pytest.fail("Debian's prometheus-alertmanager is missing: make test installs it")
    config = folder / "alertmanager.yml"
    config.write_text(CONFIG.format(webhook=webhook, token=token))
    address = f"127.0.0.1:{port or free_port()}"
    flags = [f"--config.file={config}", f"--storage.path={folder / 'am'}", f"--web.listen-address={address}"]
    log = (folder / "alertmanager.log").open("w")
    process = subprocess.Popen([binary, *flags, "--cluster.listen-address="], stdout=log, stderr=log)
    try:
        ready(f"http://{address}", process)
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(15)
        log.close()
