"""Settings of what stands in Git: which repositories there are, and where the fields of targets stand in them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from aiops.app.section import Section
from aiops.app.web_settings import LOOPBACK
from aiops.core.decide.quantities import Duration
from aiops.core.model import REPLICAS, RESOURCES

if TYPE_CHECKING:
    from aiops.adapters.git import GitRepositories, Placement

KUSTOMIZE, HELM, MANIFEST, TFVARS = "kustomize", "helm", "manifest", "tfvars"
_PART = r"[A-Za-z0-9_][-A-Za-z0-9_+]*(\.[-A-Za-z0-9_+]+)*"
_BRANCH = rf"^{_PART}(/{_PART})*$"


class RepositorySettings(Section):
    """One repository, over HTTP or in a folder (file://).

    propose: changes are offered on branches of their own, `prefix` and the policy's name, which a person merges; else
    they are pushed to `branch`. username with password_file: basic authentication, with a token for most hosts.
    settle: how long whoever follows the branch may take until the cluster shows what it says. depth: how many commits
    are fetched at first.
    """

    url: str = Field(pattern=r"^(https?|file)://")
    branch: str = Field("main", pattern=_BRANCH)
    propose: bool = False
    prefix: str = Field("aiops/", pattern=r"^[A-Za-z0-9_][-A-Za-z0-9_+]*/$")
    username: str = ""
    password_file: Path | None = None
    bearer_token_file: Path | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    author: str = Field("aiops", pattern=r"^[^<>\n]+$")
    email: str = Field("aiops@localhost", pattern=r"^[^<>\s]+$")
    every: Duration = Field(30.0, ge=1)
    timeout: Duration = Field(10.0, gt=0, le=60)
    settle: Duration = Field(600.0, ge=0)
    depth: int = Field(500, ge=1)

    @field_validator("url")
    @classmethod
    def no_secrets_in_addresses(cls, value: str) -> str:
        """Refuse what would be told with every error."""
        split = urlsplit(value)
        if split.username or split.password:
            raise ValueError("an address holds no user and no password: use username and password_file")
        if split.scheme == "file" and (split.netloc not in ("", "localhost") or not split.path.strip("/")):
            raise ValueError("a folder is written file:///srv/git/deploy.git")
        if split.scheme != "file" and not split.hostname:
            raise ValueError("an address has a host: https://git.example.com/shop/deploy.git")
        return value

    @model_validator(mode="after")
    def one_way_to_say_who(self) -> RepositorySettings:
        """Refuse two ways to say who we are, half a certificate, and a secret that everybody on the way reads (S10)."""
        if self.password_file is not None and self.bearer_token_file is not None:
            raise ValueError("password_file or bearer_token_file, and not both")
        if self.username and self.password_file is None:
            raise ValueError("username needs password_file")
        if self.key_file is not None and self.cert_file is None:
            raise ValueError("key_file needs cert_file")
        split = urlsplit(self.url)
        secret = self.password_file or self.bearer_token_file
        if secret is not None and split.scheme == "http" and split.hostname not in LOOPBACK:
            raise ValueError("a password or token goes over https alone, and over http to loopback")
        return self


class PlacedSettings(Section):
    """Where a field of targets stands. match: `NAMESPACE/NAME`, with * and ?; the first that fits counts.

    `{namespace}` and `{name}` in file and object are the target's. path: of the value, for helm and tfvars; elsewhere
    that of the field itself, unless another is said. object: the name of the object in the file, where it is not the
    target's. min, max: what is never left, beside the range that a comment `# aiops: 2..12` declares. container: of the
    field `resources`, whose requests and limits stand there.
    """

    match: str = Field(pattern=r"^[^/\s]+/[^/\s]+$")
    cluster: str = "default"
    kind: str = "Deployment"
    repository: str
    file: str
    format: Literal["kustomize", "helm", "manifest", "tfvars"]
    field: Literal["replicas", "minReplicas", "resources"] = REPLICAS  # type: ignore[assignment]
    path: str = ""
    object_kind: str = ""
    object: str = Field("{name}", min_length=1)
    container: str = Field("{name}", min_length=1)
    min: int | None = Field(None, ge=0)
    max: int | None = Field(None, ge=0)

    @field_validator("file")
    @classmethod
    def inside_the_repository(cls, value: str) -> str:
        """Refuse what is no file inside of a repository."""
        parts = value.split("/")
        if not value or any(one in ("", ".", "..", ".git") for one in parts):
            raise ValueError("a file is named from the repository's root: apps/shop/values.yaml")
        return value

    @model_validator(mode="after")
    def found_in_its_format(self) -> PlacedSettings:
        """Refuse a place that no file of its format could have."""
        if self.format in (HELM, TFVARS) and not self.path:
            raise ValueError(f"format {self.format} needs the path of the value, such as replicaCount")
        if self.format == TFVARS and not self.file.endswith(".tfvars.json"):
            raise ValueError("format tfvars is JSON: workers.auto.tfvars.json")
        if self.field == RESOURCES and self.format == TFVARS:
            raise ValueError("requests and limits of containers do not stand in tfvars")
        if self.field == RESOURCES and (self.min is not None or self.max is not None):
            raise ValueError("min and max are of replicas: say the range beside the quantity, as # aiops: 100m..2")
        if self.field != RESOURCES and self.container != "{name}":
            raise ValueError("container is of the field resources")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("min is above max: nothing could ever be written")
        return self


class GitSettings(Section):
    """What stands in Git, and is written there by a commit in place of a request to the cluster's API.

    folder: where what was fetched is kept; it may be lost at any time.
    """

    folder: Path = Path("var/git")
    repositories: dict[str, RepositorySettings] = Field(default_factory=dict)
    targets: tuple[PlacedSettings, ...] = ()

    @model_validator(mode="after")
    def targets_name_repositories(self) -> GitSettings:
        """Refuse a target in a repository that nobody named."""
        for one in self.targets:
            if one.repository not in self.repositories:
                known = ", ".join(sorted(self.repositories)) or "none"
                raise ValueError(f"targets: there is no repository {one.repository!r}; there are: {known}")
        if any(not name or not name.replace("-", "").replace("_", "").isalnum() for name in self.repositories):
            raise ValueError("a repository's name has letters, digits, - and _ alone")
        return self


def placements(settings: GitSettings) -> tuple[Placement, ...]:
    """Return which fields of which targets stand where."""
    if not settings.targets:
        return ()
    from aiops.adapters.git import Format, Placement

    return tuple(
        Placement(
            match=one.match,
            cluster=one.cluster,
            kind=one.kind,
            repository=one.repository,
            file=one.file,
            format=Format(one.format),
            field=one.field,
            path=one.path,
            object_kind=one.object_kind,
            object=one.object,
            container=one.container,
            low=one.min,
            high=one.max,
        )
        for one in settings.targets
    )


def repositories(settings: GitSettings) -> GitRepositories | None:
    """Return the repositories of the settings, None where there are none; raise ConfigurationError."""
    if not settings.targets:
        return None
    from aiops.adapters.git import GitRepositories, Repository, RepositoryOptions

    named = {
        name: RepositoryOptions(
            name=name,
            url=one.url,
            branch=one.branch,
            folder=settings.folder / f"{name}.git",
            propose=one.propose,
            prefix=one.prefix,
            username=one.username,
            password_file=one.password_file,
            bearer_token_file=one.bearer_token_file,
            ca_file=one.ca_file,
            cert_file=one.cert_file,
            key_file=one.key_file,
            author=one.author,
            email=one.email,
            every_s=one.every,
            timeout_s=one.timeout,
            settle_s=one.settle,
            depth=one.depth,
        )
        for name, one in settings.repositories.items()
    }
    placed = placements(settings)
    used = {one.repository for one in placed}
    made = {name: Repository(options, time.time) for name, options in named.items() if name in used}
    return GitRepositories(made, placed)
