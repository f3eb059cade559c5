"""What the API's document calls a reason is one to those who read it."""

from __future__ import annotations

from pydantic import TypeAdapter, ValidationError

from aiops.app.versions import word
from aiops.web.models import Said

LETTERS = [chr(code) for code in range(0x3001)]


def test_a_reason_that_the_document_takes_is_never_called_missing():
    said = TypeAdapter(Said)
    taken = [one for one in LETTERS if _takes(said, one)]
    assert all(word({"reason": one}, "reason") == one for one in taken)
    assert not {"\x00", "\x13", " ", "\n", "\u2003"} & set(taken)


def _takes(said: TypeAdapter[str], text: str) -> bool:
    try:
        said.validate_python(text)
    except ValidationError:
        return False
    return True
