"""Versions of models, told to an MLflow tracking server by its documented REST API; no turn waits for it."""

from aiops.adapters.mlflow.client import MlflowOptions, Tracking
from aiops.adapters.mlflow.outbox import Outbox
from aiops.adapters.mlflow.publisher import Publisher

__all__ = ["MlflowOptions", "Outbox", "Publisher", "Tracking"]
