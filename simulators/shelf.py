"""Scenarios of one kind: the shipped ones by name, those of files by what they say they are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import BaseModel, ValidationError

from aiops.errors import InvalidContent
from aiops.policy.document import documents

Spec = TypeVar("Spec", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf(Generic[Spec]):
    """folder: of the shipped ones. name: what a file says under `kind`."""

    name: str
    folder: Path
    spec: type[Spec]

    def names(self) -> tuple[str, ...]:
        """Return the names of the shipped scenarios."""
        return tuple(sorted(path.stem for path in self.folder.glob("*.yaml")))

    def has(self, name: str) -> bool:
        """Return whether a name or a file is that of a scenario of this kind."""
        if name in self.names():
            return True
        path = Path(name)
        if not name.endswith((".yaml", ".yml")) or not path.is_file():
            return False
        found, _ = documents(path.read_text(encoding="utf-8"), str(path))
        return any(isinstance(one.data, dict) and one.data.get("kind") == self.name for one in found)

    def load(self, name: str) -> Spec:
        """Return a scenario by the name of a shipped one or by a path; raise InvalidContent."""
        path = self.folder / f"{name}.yaml" if name in self.names() else Path(name)
        found, problems = documents(path.read_text(encoding="utf-8"), str(path))
        if problems or len(found) != 1:
            raise InvalidContent("\n".join(map(str, problems)) or f"{path}:1:1: a scenario is one document")
        try:
            return self.spec.model_validate(found[0].data)
        except ValidationError as err:
            lines = [str(found[0].problem(tuple(e["loc"]), e["msg"])) for e in err.errors(include_url=False)]
            raise InvalidContent("\n".join(lines)) from err
