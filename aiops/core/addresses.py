"""Addresses of servers, without the secrets that may stand in them."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit, urlunsplit


def without_user(address: str) -> tuple[str, str, str]:
    """Return an address that may be shown to anybody, and the name and the password that stood in it, '' for none.

    >>> without_user("https://ann:pa%40ss@metrics.example:9090/prom"), without_user("http://metrics.example")
    (('https://metrics.example:9090/prom', 'ann', 'pa@ss'), ('http://metrics.example', '', ''))
    """
    try:
        parts = urlsplit(address)
    except ValueError:  # whoever connects to it says what is wrong with it
        return address, "", ""
    user, at, host = parts.netloc.rpartition("@")
    if not at:
        return address, "", ""
    name, _, password = user.partition(":")
    return urlunsplit(parts._replace(netloc=host)), unquote(name), unquote(password)
