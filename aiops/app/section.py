"""What every group of settings is."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, ConfigDict, SecretStr


class Section(BaseModel):
    """A group of settings; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def revealed(section: Section) -> str:
    """Return a group as JSON that it is read from again, its secrets in the clear: for a process of our own alone."""
    return json.dumps(section.model_dump(), default=_plain)


def _plain(value: Any) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)
