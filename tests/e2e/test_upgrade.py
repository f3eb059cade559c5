"""Upgrading: an older chart with an older store goes on as the newer one, a newer store is left as it is; and manifests
and kustomize give what the chart gives.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml

from aiops.adapters.store import REVISION
from tests.e2e.conftest import deployment
from tests.e2e.emulated import hpa
from tests.e2e.grants import denied
from tests.e2e.installed import CHART, ROOT, Helm, Site, decisions
from tests.e2e.rig import scaling_policy

DEPLOY = ROOT / "config/deploy"
FIXTURE = ROOT / "tests/fixtures/store-0009.sql"


def restored(site: Site, sql: str) -> Path:
    """Put a store on the volume of the release, as its daemon left it; return its file."""
    folder = site.node.claims[(site.release, "aiops")] = site.folder / "claim"
    folder.mkdir()
    with closing(sqlite3.connect(folder / "aiops.db")) as database:
        database.executescript(sql)
    os.chown(folder / "aiops.db", 65532, 65532)
    return folder / "aiops.db"


@pytest.mark.timeout(300)
def test_an_older_chart_with_an_older_store_is_upgraded_and_goes_on_with_what_it_knew(site: Site):
    config = site.plane.kubeconfig()
    words = ("--version", "0.0.9", "--app-version", "0.0.9", "-d", str(site.folder))
    site.helm("package", str(CHART), *words)
    older = site.folder / "aiops-0.0.9.tgz"
    for item in (
        {"metadata": {"name": "shop"}, "kind": "Namespace", "apiVersion": "v1"},
        deployment("shop", "checkout", 7),
    ):
        site.plane.apply(item)
    site.plane.apply(hpa("shop", 80, least=7))
    values = site.values(scaling_policy("shop", lever="hpa-floor"), mode="enforce")
    site.helm("install", "aiops", str(older), "-n", site.release, "-f", str(values), kubeconfig=config)
    file = restored(site, FIXTURE.read_text(encoding="utf-8"))
    before = site.until(site.pods, "the older pod")[0]
    assert before["metadata"]["labels"]["app.kubernetes.io/version"] == "0.0.9"
    site.install(values)

    def newer() -> Any:
        return next((p for p in site.pods() if p["metadata"]["labels"]["app.kubernetes.io/version"] != "0.0.9"), None)

    pod = site.start(site.until(newer, "the pod of the newer chart"))
    site.until(
        lambda: [one for one in decisions(site, pod) if one["at"] > site.began], "a decision of the newer daemon"
    )
    with closing(sqlite3.connect(file)) as database:
        assert database.execute("SELECT version_num FROM alembic_version").fetchone()[0] == REVISION
    effect = next(one for one in site.exec(pod, "effects"))
    assert (effect["object"], effect["original"], effect["written"]) == ("HorizontalPodAutoscaler shop/checkout", 2, 7)
    assert [one["scope"] for one in site.exec(pod, "status")["pauses"]] == ["shop/legacy"]
    oldest = decisions(site, pod)[-1]
    assert site.exec(pod, "explain", oldest["id"])["decision"]["id"] == oldest["id"]
    assert "are whole, from 1 to" in site.exec(pod, "audit", "verify")["said"]
    assert denied(site.asked()) == []


def test_a_chart_over_a_newer_store_ends_with_3_says_so_and_changes_nothing(site: Site):
    site.install(site.values(scaling_policy(site.target, mode="dry-run")))
    sql = FIXTURE.read_text(encoding="utf-8").replace("VALUES('0009')", "VALUES('9999')")
    file = restored(site, sql)
    pod = site.start()
    assert pod.process.popen.wait(60) == 3
    said = pod.process.log.read_text()
    assert f"the store has schema 9999, this program knows {REVISION}" in said
    assert "run the newer program, or restore a backup" in said
    with closing(sqlite3.connect(file)) as database, closing(sqlite3.connect(":memory:")) as wanted:
        wanted.executescript(sql)
        assert list(database.iterdump()) == list(wanted.iterdump())


# -- without Helm ------------------------------------------------------------------------------------------------


def test_kustomize_makes_what_the_chart_makes_and_the_api_server_takes_it(site: Site, chart: Helm):
    def plain(objects: Any) -> dict[str, Any]:
        made = {
            f"{one['kind']} {one['metadata'].get('namespace', '')} {one['metadata']['name']}": one for one in objects
        }
        for one in made.values():
            if one["kind"] == "Deployment":  # in which order volumes stand is kustomize's
                one["spec"]["template"]["spec"]["volumes"].sort(key=lambda volume: volume["name"])
        return made

    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts/render_deploy.py"), str(chart.binary), "--check"],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, ""), "made anew by `make manifests`"
    for name in ("aiops", "shop"):
        site.plane.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    for folder, file in (
        ("base", "install"),
        ("overlays/namespaced", "install-namespaced"),
        ("overlays/ha", "install-ha"),
    ):
        text = site.plane.kubectl("kustomize", str(DEPLOY / "kustomize" / folder))
        written = DEPLOY / "manifests" / f"{file}.yaml"
        assert plain(yaml.safe_load_all(text)) == plain(yaml.safe_load_all(written.read_text(encoding="utf-8")))
        words = ("--server-side", "--dry-run=server", "--validate=strict", "-f", "-")
        site.plane.kubectl("apply", *words, stdin=text)
