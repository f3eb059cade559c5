"""A progress bar on a terminal, silence elsewhere."""

from __future__ import annotations

from aiops.app.output import console


class Bar:
    """Shows how many of so many steps are done. every: how many steps lie between two looks at it."""

    def __init__(self, name: str, total: int, every: int = 100) -> None:
        from rich.progress import Progress

        screen = console(errors=True)
        self._progress = Progress(console=screen, transient=True, disable=not screen.is_terminal)
        self._task = self._progress.add_task(name, total=total)
        self._waiting, self._every = 0, every

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def step(self) -> None:
        """Take note of one more step."""
        self._waiting += 1
        if self._waiting == self._every:
            self._progress.advance(self._task, self._waiting)
            self._waiting = 0
