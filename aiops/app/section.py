"""What every group of settings is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from aiops.core.addresses import overfull


def _base(address: str) -> str:
    if why := overfull(address):
        raise ValueError(why)
    return address


BaseUrl = Annotated[str, Field(pattern=r"^https?://"), AfterValidator(_base)]
"""The address of a server to which the paths of its API are added."""


class Section(BaseModel):
    """A group of settings; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class AccessSettings(Section):
    """How a server is asked: who asks, and by which certificates it and we are known. Files are read again."""

    bearer_token: SecretStr | None = None
    bearer_token_file: Path | None = None
    username: str | None = None
    password: SecretStr | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    insecure_skip_verify: bool = False


def revealed(section: Section) -> str:
    """Return a group as JSON that it is read from again, its secrets in the clear: for a process of our own alone."""
    return json.dumps(section.model_dump(), default=_plain)


def _plain(value: Any) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)
