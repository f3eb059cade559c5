"""What every group of settings is."""

from __future__ import annotations

import json
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


def revealed(section: Section) -> str:
    """Return a group as JSON that it is read from again, its secrets in the clear: for a process of our own alone."""
    return json.dumps(section.model_dump(), default=_plain)


def _plain(value: Any) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)
