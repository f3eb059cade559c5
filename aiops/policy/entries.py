"""Entries of lists as messages, so that the checker of CEL knows their fields and what these are.

Conditions are checked with them and run on plain maps: what is found, an incident or a pool of nodes never becomes a
message.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from aiops.policy.variables import VARIABLES, Sort

PACKAGE = "entries"


@lru_cache(maxsize=1)
def descriptors() -> Any:
    """Return a pool with a message for the entries of each list, `entries.findings` for one."""
    from google.protobuf import descriptor_pb2, descriptor_pool

    file = descriptor_pb2.FileDescriptorProto(name="entries.proto", package=PACKAGE, syntax="proto3")
    for one in VARIABLES:
        if one.sorts:
            message = file.message_type.add(name=one.name)
            for number, (name, sort) in enumerate(one.sorts.items(), start=1):
                _field(message, name, number, sort)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool


def _field(message: Any, name: str, number: int, sort: Sort) -> None:
    from google.protobuf.descriptor_pb2 import FieldDescriptorProto as Field

    one = message.field.add(name=name, number=number, label=Field.LABEL_OPTIONAL)
    match sort:
        case Sort.TEXT:
            one.type = Field.TYPE_STRING
        case Sort.NUMBER:
            one.type = Field.TYPE_DOUBLE
        case Sort.FLAG:
            one.type = Field.TYPE_BOOL
        case Sort.TEXTS:
            one.type, one.label = Field.TYPE_STRING, Field.LABEL_REPEATED
        case Sort.LABELS:
            pairs = message.nested_type.add(name=f"{name.capitalize()}Entry")
            pairs.options.map_entry = True
            for place, part in enumerate(("key", "value"), start=1):
                pairs.field.add(name=part, number=place, type=Field.TYPE_STRING, label=Field.LABEL_OPTIONAL)
            one.type, one.label = Field.TYPE_MESSAGE, Field.LABEL_REPEATED
            one.type_name = f".{PACKAGE}.{message.name}.{pairs.name}"
