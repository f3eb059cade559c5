"""What a checkpoint of rows says of itself."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from aiops.core.protocols import Arrays


def about_of(arrays: Arrays, version: int) -> dict[str, Any]:
    """Return what a checkpoint says of itself; raise ValueError when it says nothing, or is of another version."""
    if "about" not in arrays:
        raise ValueError("the checkpoint does not have it")
    about: dict[str, Any] = json.loads(np.asarray(arrays["about"]).tobytes())
    if about["version"] != version:
        raise ValueError(f"is of version {about['version']}, not {version}")
    return about
