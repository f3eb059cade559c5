"""Run the emulator until SIGTERM or SIGINT; one line of JSON on standard output says where it listens."""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys
import threading
from dataclasses import asdict
from pathlib import Path

from aiops.errors import AiopsError
from simulators.emulator.config import read
from simulators.emulator.emulator import Emulator


def main(arguments: list[str] | None = None) -> int:
    """Return the exit code: 0 after a signal, 1 for a wrong file, 70 after a bug."""
    parser = argparse.ArgumentParser(prog="python -m simulators.emulator", description=__doc__)
    parser.add_argument("--config", required=True, type=Path, help="YAML or JSON file")
    path = parser.parse_args(arguments).config
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    ended = threading.Event()
    for which in (signal.SIGTERM, signal.SIGINT):
        signal.signal(which, lambda *_: ended.set())
    try:
        emulator = Emulator(read(path), folder=path.parent)
        addresses = emulator.start()
    except AiopsError as err:
        sys.stderr.write(f"{err}\n")
        return err.exit_code
    sys.stdout.write(json.dumps(asdict(addresses)) + "\n")
    sys.stdout.flush()
    while not ended.wait(0.5) and emulator.alive:
        pass
    return 0 if emulator.stop() else 70


if __name__ == "__main__":
    sys.exit(main())
