"""Watched series: `aiops watch explain SERIES`."""

from __future__ import annotations

import typer

watch = typer.Typer(help="Series that WatchPolicies watch.", no_args_is_help=True)
