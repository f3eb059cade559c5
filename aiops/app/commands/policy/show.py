"""`aiops policy show`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aiops.app.output import SESSION

if TYPE_CHECKING:
    from aiops.core.policies import AnyPolicy


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(show)


def show(
    paths: Annotated[list[Path], typer.Argument(help="Policy files and folders.")],
    effective: Annotated[bool, typer.Option("--effective", help="Say where each value came from.")] = False,
    policy: Annotated[str | None, typer.Option(help="Only the policy of this name, or `Kind/namespace/name`.")] = None,
    target: Annotated[
        str | None, typer.Option(help="Of a policy with a selector: for NAME, or NAME:LABEL=VALUE,... of its queries.")
    ] = None,
) -> None:
    """Print policies with every default filled in."""
    import yaml

    from aiops.errors import InvalidPolicy, NotFound
    from aiops.policy import check
    from aiops.policy.effective import as_json, as_yaml

    found = check(paths)
    if found.policies is None:
        raise InvalidPolicy(found.errors)
    made = [(document, one) for document, one in found.made if policy in (None, one.key, one.key.rpartition("/")[2])]
    if not made:
        raise NotFound(f"there is no policy {policy!r}; there are {', '.join(one.key for _, one in found.made)}")
    if target is not None:
        made = [(document, _for(one, target)) for document, one in made]
    if effective:
        texts = [as_yaml(document, one) + _asked(one, target) for document, one in made]
        SESSION.show([as_json(document, one) for document, one in made], "---\n".join(texts))
        return
    documents = [json.loads(one.document) for _, one in made]
    SESSION.show(documents, yaml.safe_dump_all(documents, sort_keys=False))


def _for(policy: AnyPolicy, target: str) -> AnyPolicy:
    """Return a policy as it is for one target, where it selects them; raise InvalidInput."""
    from aiops.core.policies import ScalingPolicy
    from aiops.errors import InvalidInput
    from aiops.policy.members import NoMember, meant, member_policy

    if not isinstance(policy, ScalingPolicy) or policy.selection is None:
        return policy
    try:
        return member_policy(policy, meant(target))
    except NoMember as err:
        raise InvalidInput(f"--target {target}: {err}") from err


def _asked(policy: AnyPolicy, target: str | None) -> str:
    """Return the queries as they are asked for a target, as comments: the document has placeholders."""
    from aiops.core.policies import ScalingPolicy

    if target is None or not isinstance(policy, ScalingPolicy):
        return ""
    lines = [f"# {name}: {one.query.expr}\n" for name, one in policy.signals.items()]
    return "".join((f"# asked for {policy.target}:\n", *lines))
