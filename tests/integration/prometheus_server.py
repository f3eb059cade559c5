"""Debian's Prometheus on loopback, started and stopped by a test."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: shop
    static_configs: [{{targets: ['{target}']}}]
"""


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def running_prometheus(folder: Path, target: str, past: Iterable[str] = ()) -> Iterator[str]:
    """Yield the URL of a Prometheus that scrapes `target` each second and remembers the OpenMetrics text `past`."""
    binary = shutil.which("prometheus")
    if binary is None:
        pytest.fail("Debian's prometheus is missing: make test installs it")
    config, data = folder / "prometheus.yml", folder / "data"
    config.write_text(CONFIG.format(target=target))
    data.mkdir(exist_ok=True)
    backfill(folder / "past.txt", data, past)
    address = f"127.0.0.1:{free_port()}"
    flags = [f"--config.file={config}", f"--storage.tsdb.path={data}", f"--web.listen-address={address}"]
    log = (folder / "prometheus.log").open("w")
    process = subprocess.Popen([binary, *flags, "--storage.tsdb.allow-overlapping-blocks"], stdout=log, stderr=log)
    try:
        ready(f"http://{address}", process)
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(15)
        log.close()


def backfill(text: Path, data: Path, past: Iterable[str]) -> None:
    with text.open("w") as file:
        file.writelines(past)
    if text.stat().st_size:
        command = ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(text), str(data)]
        subprocess.run(command, check=True, capture_output=True)


def ready(url: str, process: subprocess.Popen[bytes], within_s: float = 30.0) -> None:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        assert process.poll() is None, "prometheus ended early"
        try:
            with urllib.request.urlopen(f"{url}/-/ready", timeout=1) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    pytest.fail("prometheus was not ready in time")
