"""Frozen values that a turn makes by the thousand, made and changed at a fraction of what frozen dataclasses cost.

A frozen dataclass sets each of its fields through `object.__setattr__`, and `dataclasses.replace` reads them all by
name before it does so again. Here a value is, while it is filled, of a class that has the same slots and is not frozen;
it is of its own class before anybody sees it, and frozen from then on. A class that is called packs what it is given
by name into a dictionary first; where a value is made for every policy of a turn, `making` gives a function instead.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

__all__ = ["changed", "making", "swift"]

T = TypeVar("T")
P = ParamSpec("P")

if TYPE_CHECKING:
    from dataclasses import replace as changed  # so that types of fields are checked as they are there
else:

    def changed(value, /, **new):
        """Return the value with other fields, as `dataclasses.replace` does; of classes that are `swift` alone."""
        names = tuple(new)
        change = value.__changes__.get(names)
        if change is None:
            change = value.__changes__[names] = _change(type(value), names)
        return change(value, *new.values())


def making(cls: Callable[P, T]) -> Callable[P, T]:
    """Return a function that makes what the class makes when it is called, but sooner; of `swift` classes alone."""
    made: Callable[P, T] = cls.__make__  # type: ignore[attr-defined]
    return made


def swift(cls: type[T]) -> type[T]:
    """Return the frozen dataclass, with slots and without a `__post_init__`, that is made and changed faster."""
    if cls.__mro__ != (cls, object) or hasattr(cls, "__post_init__"):
        raise TypeError(f"{cls.__name__} has a base or a __post_init__, and is no plain value")
    names = tuple(one.name for one in fields(cls))  # type: ignore[arg-type]
    filling = type(f"{cls.__name__}Filling", (), {"__slots__": names})
    made, maker = _initialisers(cls, filling)
    setattr(cls, "__init__", made)  # noqa: B010  # a plain assignment is no method to the type checker
    setattr(cls, "__make__", staticmethod(maker))  # noqa: B010
    setattr(cls, "__filling__", filling)  # noqa: B010
    setattr(cls, "__changes__", {})  # noqa: B010
    setattr(cls, "__replace__", changed)  # noqa: B010  # the protocol of Python 3.13's `copy.replace`
    return cls


def _initialisers(cls: type, filling: type) -> tuple[Callable[..., None], Callable[..., Any]]:
    """Return `__init__` with the parameters, defaults and annotations that it has, which fills the slots directly.

    And with it a function of the same parameters that returns what is made.
    """
    known: Any = cls.__init__  # type: ignore[misc]
    code, preset = known.__code__, {**(known.__kwdefaults__ or {})}
    positional = code.co_varnames[1 : code.co_argcount]
    named = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    tail = known.__defaults__ or ()
    preset |= dict(zip(positional[len(positional) - len(tail) :], tail, strict=True))
    makers = {one.name: one.default_factory for one in fields(cls) if callable(one.default_factory)}
    scope: dict[str, Any] = {f"make_{name}": maker for name, maker in makers.items()}
    scope |= {f"unset_{name}": preset[name] for name in makers}
    lines = [f"self.{name} = {name}" for name in (*positional, *named)]
    checks = [f"if {name} is unset_{name}: {name} = make_{name}()" for name in makers]
    parameters = ", ".join((*positional, *(("*", *named) if named else ())))
    heads = f"def __init__(self, {parameters}):", f"def __make__({parameters}):"
    made = _function(heads[0], (*checks, *_filled("self", lines)), scope, (cls, filling))
    body = (*checks, "self = filling()", *lines, "self.__class__ = cls", "return self")
    maker = _function(heads[1], body, dict(scope), (cls, filling))
    for one in (made, maker):
        one.__defaults__, one.__kwdefaults__ = known.__defaults__, known.__kwdefaults__
        one.__annotations__ = known.__annotations__
    return made, maker


def _change(cls: Any, new: tuple[str, ...]) -> Callable[..., Any]:
    """Return a function of a value, and of what is new in the order of the names, that returns the changed value.

    There are as many as there are places that change a value, and each is made once.
    """
    names = [one.name for one in fields(cls)]
    for name in new:
        if name not in names:
            raise TypeError(f"{cls.__name__} has no field {name}")
    lines = [f"_made.{name} = {name if name in new else f'self.{name}'}" for name in names]
    body = ("_made = filling()", *lines, "_made.__class__ = cls", "return _made")
    head = f"def __change__({', '.join(('self', *new))}):"
    return _function(head, body, {}, (cls, cls.__filling__))  # type: ignore[no-any-return]


def _filled(name: str, lines: list[str]) -> tuple[str, ...]:
    return (f"become({name}, '__class__', filling)", *lines, f"{name}.__class__ = cls")


def _function(head: str, body: tuple[str, ...], scope: dict[str, Any], classes: tuple[type, type]) -> Any:
    scope |= {"cls": classes[0], "filling": classes[1], "become": object.__setattr__}
    text = head + "\n " + "\n ".join(body)
    exec(text, scope)  # noqa: S102  # as dataclasses does it: the text is made of field names alone
    made = scope[head.removeprefix("def ").partition("(")[0]]
    made.__qualname__, made.__module__ = f"{classes[0].__qualname__}.{made.__name__}", classes[0].__module__
    return made
