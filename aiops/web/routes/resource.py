"""How the routes of one resource are gathered."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter


class Resource(APIRouter):
    """Routes under /api/v1. Fields that an answer does not have are left out, and are not null."""

    def __init__(self, name: str) -> None:
        super().__init__(tags=[name], redirect_slashes=False)

    def add_api_route(self, path: str, endpoint: Any, **how: Any) -> None:
        """Add a route; see the class."""
        super().add_api_route(path, endpoint, **{**how, "response_model_exclude_unset": True})
