"""What all specs of policy kinds share: camelCase keys, nothing unknown, nothing changed."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Spec(BaseModel):
    """Base of everything that people write in a policy."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        extra="forbid",
        frozen=True,
        strict=False,
        validate_default=True,
        use_enum_values=False,
    )
