"""Settings of the audit chain: how long it is kept, what its anchors are signed with, and where they go."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from aiops.app.section import Section
from aiops.core.decide.quantities import Duration


class AuditSettings(Section):
    """key_file: an Ed25519 key in PEM; without it anchors are not signed. anchors_file: each anchor is added to it.

    public_keys: of keys that signed before. every: how often an anchor is made. max_age: of the records.
    """

    key_file: Path | None = None
    public_keys: tuple[Path, ...] = ()
    anchors_file: Path | None = None
    every: Duration = Field(86_400.0, ge=60)
    max_age: Duration = Field(400 * 86_400.0, ge=3600)
