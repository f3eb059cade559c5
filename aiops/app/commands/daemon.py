"""`aiops run`, and what the daemon may do: `aiops rbac`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aiops.app.output import SESSION
from aiops.errors import InvalidInput

if TYPE_CHECKING:
    from aiops.app.settings import Settings
    from aiops.core.policies import PolicySet


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(run)
    app.command()(rbac)


def run(
    config: Annotated[Path | None, typer.Option(help="Settings of the daemon.")] = None,
    mode: Annotated[str | None, typer.Option(help="Ceiling: observe, dry-run, approve or enforce.")] = None,
    policies: Annotated[list[Path] | None, typer.Option(help="Policy files and folders.")] = None,
    store: Annotated[str | None, typer.Option(help="Database URL of the record.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the simulation.")] = None,
    ticks: Annotated[int | None, typer.Option(min=1, help="Stop after so many ticks.")] = None,
) -> None:
    """Run the daemon in the foreground. Ctrl-C stops it in stages, a second one at once."""
    from aiops.app.daemon import Daemon
    from aiops.app.logs import configure
    from aiops.app.redaction import secrets_of
    from aiops.app.wiring import build

    flags: dict[str, Any] = {}
    if mode is not None:
        flags["mode"] = mode
    if policies:
        flags["policies"] = tuple(policies)
    if store is not None:
        flags["store"] = {"url": store}
    if seed is not None:
        flags["simulation"] = {"seed": seed}
    if config is not None:
        SESSION.config = config
    settings = SESSION.settings(flags)
    if SESSION.verbose:
        settings = settings.model_copy(update={"log": settings.log.model_copy(update={"level": "debug"})})
    configure(settings.log, lambda: secrets_of(settings))
    code = Daemon(build(settings), ticks=ticks).run()
    if code:
        sys.exit(code)


def rbac(
    paths: Annotated[list[Path] | None, typer.Argument(help="Policy files and folders.")] = None,
    mode: Annotated[str | None, typer.Option(help="The daemon's mode, when it is not the settings'.")] = None,
    cluster: Annotated[str | None, typer.Option(help="Which cluster's roles, when targets lie in several.")] = None,
    custom_resources: Annotated[
        bool | None, typer.Option(help="Read policies from the API, too, when that is not the settings'.")
    ] = None,
    from_cluster: Annotated[
        bool, typer.Option("--from-cluster", help="For the policies that are objects of the cluster's API now, too.")
    ] = False,
    values: Annotated[
        bool, typer.Option("--values", help="As values of the Helm chart: the policies of files, and their roles.")
    ] = False,
) -> None:
    """Print the Kubernetes permissions that policies need, and no others; mode and Lease are the settings'.

    Roles are named by the Lease, so that daemons with Leases of their own leave each other's alone in one cluster.
    Before a mode is lowered or a policy removed, hand back (`aiops release`): the smaller role cannot.
    """
    import yaml

    from aiops.adapters.kubernetes import guesses
    from aiops.app.granting import of_cluster, roles

    flags: dict[str, Any] = {} if mode is None else {"mode": mode}
    if custom_resources is not None or from_cluster:
        flags["custom_resources"] = {"enabled": from_cluster or custom_resources}
    settings = SESSION.settings(flags)
    policies = _granted_for(paths or [], settings, from_cluster=from_cluster)
    _one_cluster(policies, cluster)
    objects, chosen = roles(policies, settings, cluster), of_cluster(policies, cluster)
    notes = guesses(chosen)
    for note in notes:
        sys.stderr.write(f"warning: {note}\n")
    if values:
        _show_values(paths or [], objects, settings)
        return
    text = "".join(f"# {note}\n" for note in notes) + yaml.safe_dump_all(objects, sort_keys=False)
    SESSION.show({"apiVersion": "v1", "kind": "List", "items": objects}, text)


def _show_values(paths: list[Path], objects: list[dict[str, Any]], settings: Settings) -> None:
    import yaml

    from aiops.app import chart_values
    from aiops.policy.files import policy_files

    texts = chart_values.texts(policy_files(paths).files)
    made = chart_values.values(texts, objects, settings.lease, settings.mode)
    SESSION.show(made, yaml.dump(made, Dumper=_block_dumper(), sort_keys=False, allow_unicode=True, width=120))


def _block_dumper() -> Any:
    """Return a dumper that writes texts of several lines as people do."""
    import yaml

    class Dumper(yaml.SafeDumper):
        """Of this one answer."""

        def ignore_aliases(self, data: object) -> bool:
            """Write everything where it stands."""
            return True

    def text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)

    Dumper.add_representer(str, text)
    return Dumper


def _granted_for(paths: list[Path], settings: Settings, *, from_cluster: bool) -> PolicySet:
    """Return the policies of files, and those that are objects of the cluster's API where that is asked for."""
    from aiops.app.authored import authored, reading, together
    from aiops.errors import InvalidPolicy
    from aiops.policy import check

    if not paths and not from_cluster:
        raise typer.BadParameter("policies are missing: files and folders, or --from-cluster", param_hint="PATHS")
    found = check(paths, settings.step)
    if found.policies is None:
        raise InvalidPolicy(found.errors)
    if not from_cluster:
        return found.policies
    others = authored(reading(settings), settings.step, found.defaults, _warn)
    return together(found.policies, others)


def _warn(why: str) -> None:
    sys.stderr.write(f"warning: {why}\n")


def _one_cluster(policies: PolicySet, wanted: str | None) -> None:
    """Raise InvalidInput when policies reach into several clusters, and it is not said whose roles are wanted."""
    from aiops.app.granting import named_clusters

    named = named_clusters(policies)
    if wanted is None and len(named) > 1:
        raise InvalidInput(f"the targets lie in {', '.join(named)}: --cluster says whose roles are wanted")
