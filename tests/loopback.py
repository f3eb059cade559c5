"""What tests ask of servers on loopback."""

from __future__ import annotations

import urllib.error
import urllib.request


def page(port: int, path: str) -> tuple[int, str]:
    """Return status and text of a page on loopback; 0 and nothing when nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as err:
        with err:
            return err.code, err.read().decode()
    except OSError:
        return 0, ""
