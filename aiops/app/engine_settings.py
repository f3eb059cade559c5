"""Settings of the models, and of where watched series are looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from aiops.app.section import AccessSettings, BaseUrl, Section
from aiops.core.decide.quantities import Duration, Quantity


class MlflowSettings(AccessSettings):
    """An MLflow tracking server that is told of versions, one run each. every: how often it is looked what changed.

    experiment: in which the runs are; it is made where it is not there. timeout: of one answer, beside the loop.
    """

    url: BaseUrl
    experiment: str = Field("aiops", min_length=1, max_length=250)
    every: Duration = Field(600.0, ge=1)
    timeout: Duration = Field(10.0, gt=0)


class ModelsSettings(Section):
    """Where the models' state is checkpointed, how long a fit may take beside the loop, and who is told of versions."""

    checkpoint: Path = Path("var/models.npz")
    every: Duration = 600.0
    fit_within: Duration = 60.0
    mlflow: MlflowSettings | None = None


class EngineSettings(Section):
    """Where watched series are looked at: in this process (`local`), or in shards on a Ray cluster (`ray`).

    shards: how many. label: by whose values queries are parted first; else by the first label of their identity that
    allows it. cpus, memory: of one shard, as Ray counts them (0 memory asks for none). deadline: how long a turn waits
    for shards. checkpoints: a folder that every node sees; where none is said, a PostgreSQL store keeps them, at most
    checkpoints_max of all shards, else var/shards does. object_store: of a Ray that is begun here. fits: where models
    are fitted.
    """

    kind: Literal["local", "ray"] = "local"
    address: str = "auto"
    namespace: str = Field("aiops", pattern=r"^[a-zA-Z0-9]([-._a-zA-Z0-9]*[a-zA-Z0-9])?$")
    shards: int = Field(4, ge=1, le=1000)
    label: str = Field("", pattern=r"^([a-zA-Z_][a-zA-Z0-9_]*)?$")
    cpus: float = Field(1.0, ge=0, le=64)
    memory: Quantity = Field(0.0, ge=0)
    deadline: Duration = Field(5.0, gt=0)
    connect_within: Duration = Field(60.0, ge=1)
    failures: int = Field(3, ge=1, le=100)
    quarantine: Duration = Field(300.0, ge=1)
    checkpoints: Path | None = None
    checkpoints_max: Quantity = Field(4e9, gt=0)
    object_store: Quantity = Field(100e6, ge=80e6)
    fits: Literal["ray", "local"] = "ray"

    @model_validator(mode="before")
    @classmethod
    def one_word(cls, value: Any) -> Any:
        """Accept `engine: ray` in place of `engine: {kind: ray}`."""
        return {"kind": value} if isinstance(value, str) else value
