"""Asking about now: `aiops why TARGET` and `aiops whatif TARGET`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from aiops.app.output import SESSION, table
from aiops.errors import InvalidInput

Target = Annotated[str, typer.Argument(help="NAMESPACE/NAME of a target, or the name of a policy.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(why)
    app.command()(whatif)


def why(target: Target) -> None:
    """Say what each policy of a target wants now, what binds it, and what would have to change for it to act."""
    answer = SESSION.answers().why(target)
    lines = [_head(answer)]
    for one in answer["policies"]:
        lines += ["", *_why_lines(one)]
    SESSION.show(answer, "\n".join(lines))


def whatif(
    target: Target,
    signal: Annotated[list[str] | None, typer.Option(help="NAME=VALUE in the signal's base unit; repeatable.")] = None,
    replicas: Annotated[int | None, typer.Option(min=0, help="As if so many ran, all ready.")] = None,
    at: Annotated[str | None, typer.Option(help="As if so much later: +90s, +1h.")] = None,
) -> None:
    """Say what would be decided if something were otherwise. Nothing is changed by asking."""
    wish = {"target": target, "signals": _signals(signal or []), "replicas": replicas, "after_s": _after_s(at)}
    answer = SESSION.answers().whatif(wish)
    lines = [_head(answer)]
    for one in answer["policies"]:
        before, after = one["before"], one["after"]
        rows = [(name, _shown(before, key), _shown(after, key)) for name, key in _BESIDE]
        lines += ["", _name(one), table(("", "NOW", "THEN"), rows)]
        lines += [f"  then: {after['story']}"]
    SESSION.show(answer, "\n".join(lines))


_BESIDE = (
    ("current", "current"),
    ("wants", "wants"),
    ("left by its limits", "left"),
    ("verdict", "verdict"),
    ("bound by", "bound_by"),
    ("signals", "signals"),
)


def _shown(side: dict[str, Any], key: str) -> str:
    value = side.get(key)
    if key == "bound_by":
        return "-" if value is None else f"{value['guard']} ({value['reason']})"
    if key == "signals":
        return " · ".join(f"{name} {_signal(one)}" for name, one in (value or {}).items())
    return "-" if value is None else str(value)


def _signal(one: dict[str, Any]) -> str:
    return one["state"] if one["value"] is None else f"{one['value']:.4g}"


def _signals(said: list[str]) -> dict[str, float]:
    from aiops.core.decide.quantities import level

    found: dict[str, float] = {}
    for one in said:
        name, equals, value = one.partition("=")
        if not equals or not name:
            raise InvalidInput(f"--signal {one}: NAME=VALUE is wanted, such as demand=900")
        try:
            found[name] = level(value)
        except ValueError as err:
            raise InvalidInput(f"--signal {one}: {err}") from err
    return found


def _after_s(at: str | None) -> float:
    from aiops.core.decide.quantities import duration_s

    if at is None:
        return 0.0
    if not at.startswith("+"):
        raise InvalidInput(f"--at {at}: so much later is wanted, such as +1h")
    try:
        return duration_s(at[1:])
    except ValueError as err:
        raise InvalidInput(f"--at {at}: {err}") from err


# -- as people read it ---------------------------------------------------------------------------------------------


def _head(answer: dict[str, Any]) -> str:
    from aiops.app.evidence import lasting

    return f"{answer['target']} as of {answer['at']} ({lasting(answer['age_s'])} ago)"


def _name(one: dict[str, Any]) -> str:
    beside = f", in the shadow of {one['candidate_for'].partition('/')[2]}" if one["candidate_for"] else ""
    return f"{one['policy']} (mode {one['mode']}{beside}): {one.get('story') or one['before']['story']}"


def _why_lines(one: dict[str, Any]) -> list[str]:
    lines = [_name(one)]
    if one["verdict"] == "bug":
        return lines
    passed = [ruled["guard"] for ruled in one["rulings"] if ruled["ruling"] == "pass"]
    limits = [f"{ruled['guard']}: {ruled['detail']}" for ruled in one["rulings"] if ruled["ruling"] != "pass"]
    lines.append(f"wants      {one['wants']} (now {one['current']}): {one['because']}")
    lines += [f"binds      {limit}" for limit in limits] or ["binds      nothing"]
    lines.append(f"passed     {', '.join(passed)}")
    lines += _steering_lines(one)
    for name, key in (("to act", "in_the_way"), ("more", "in_the_way_of_more"), ("less", "in_the_way_of_less")):
        if key == "in_the_way" or one["wants"] == one["current"]:
            lines += [f"{name:<10} waits for {_step(step)}" for step in one[key]]
    if one["notice"]:
        lines.append(f"promotion  {one['notice']}")
    return lines


def _step(step: dict[str, Any]) -> str:
    until = f", until {step['until']} if all else stays" if step["until"] else ""
    undo = f" -> {step['undo']}" if step["undo"] else ""
    return f"{step['guard']}: {step['detail'] or step['reason']}{until}{undo}"


def _steering_lines(one: dict[str, Any]) -> list[str]:
    demand = one["steered_by"]
    unit = f" {demand['unit']}" if demand["unit"] else ""
    lines = []
    for way, direction, acts, wishes in (
        ("out", "from", "scales_out_from", "wishes_more_from"),
        ("in", "below", "scales_in_below", "wishes_less_below"),
    ):
        now, wish = demand[acts], demand[wishes]
        name = f"{demand['signal']} {direction}"
        if now["at"] == 0.0:
            lines.append(f"scales {way:<3} at any {demand['signal']}")
        elif now["at"] is not None:
            lines.append(f"scales {way:<3} {name} {now['at']:.4g}{unit}")
        elif wish["at"] is not None:
            lines.append(f"scales {way:<3} not now ({now['why']}); it would wish to {name} {wish['at']:.4g}{unit}")
        else:
            lines.append(f"scales {way:<3} at no {demand['signal']} now ({wish['why'] or now['why']})")
    return lines
