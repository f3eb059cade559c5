"""Writes the plain manifests and the base for kustomize out of the chart: `make manifests`. Tests compare them with it.

python scripts/render_deploy.py HELM [--check]
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "config/deploy"
CHART = DEPLOY / "chart"
HELMS = ("helm.sh/chart", "app.kubernetes.io/managed-by", "helm.sh/resource-policy", "checksum/settings")
"""What says that an object is Helm's; these are nobody's."""

SEVERAL = ("failover.yaml",)
"""Policies that reach into several clusters."""

RENDERED = {
    "manifests/install.yaml": (None, "The daemon in dry-run, with a store of its own on a volume."),
    "manifests/install-namespaced.yaml": ("namespaced", "The same for the namespace shop alone: no right beyond it."),
    "manifests/install-ha.yaml": ("ha", "Two replicas over a PostgreSQL, whose URL the Secret aiops-store holds."),
    "kustomize/base/aiops.yaml": (None, "The daemon in dry-run, with a store of its own on a volume."),
}
HEAD = """\
# {about}
# Made of config/deploy/chart by `make manifests`: change the chart, or patch this with kustomize. The namespace aiops
# and the definitions in config/deploy/crds come first. To hand back before the end is yours: aiops release --all.
"""


def objects(helm: str, values: str | None) -> list[dict[str, Any]]:
    """Return what the chart makes of a values file in ci/ (None: of its defaults), without what is Helm's."""
    given = [] if values is None else ["-f", str(CHART / "ci" / f"{values}-values.yaml")]
    command = [helm, "template", "aiops", str(CHART), "--namespace", "aiops", "--no-hooks", *given]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603  # as it was given
    return [_nobodys(one) for one in yaml.safe_load_all(done.stdout) if one]


def _nobodys(one: Any) -> Any:
    """Return an object without labels and annotations of Helm, wherever they stand in it."""
    if isinstance(one, list):
        return [_nobodys(part) for part in one]
    if not isinstance(one, dict):
        return one
    made = {key: _nobodys(value) for key, value in one.items() if key not in HELMS}
    return {key: value for key, value in made.items() if not (key == "annotations" and not value)}


def text(helm: str, values: str | None, about: str) -> str:
    """Return a file of manifests."""

    class Dumper(yaml.SafeDumper):
        """Writes texts of several lines as people do."""

    def said(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)

    Dumper.add_representer(str, said)
    return HEAD.format(about=about) + yaml.dump_all(objects(helm, values), Dumper=Dumper, sort_keys=False, width=120)


def shipped() -> str:
    """Return the chart's values for the shipped policies that need one cluster."""
    files = [str(one) for one in sorted((ROOT / "policies").glob("*.yaml")) if one.name not in SEVERAL]
    settings = str(CHART / "ci/shipped-settings.yaml")
    command = [sys.executable, "-m", "aiops", "--config", settings, "rbac", "--values", *files]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout  # noqa: S603  # ours


def main(words: list[str]) -> int:
    """Write the files; with --check only compare, and return 1 when one differs."""
    helm, differ = words[0], []
    wanted = {name: text(helm, values, about) for name, (values, about) in RENDERED.items()}
    for name, made in (("chart/ci/shipped-values.yaml", shipped()), *wanted.items()):
        file = DEPLOY / name
        if file.exists() and file.read_text(encoding="utf-8") == made:
            continue
        differ.append(name)
        if "--check" not in words:
            file.write_text(made, encoding="utf-8")
    sys.stdout.write("".join(f"{name}\n" for name in differ))
    return int(bool(differ) and "--check" in words)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
