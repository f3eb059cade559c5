"""Addresses of servers, and the secrets that are shown to them: neither is told with the other."""

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


def overfull(address: str) -> str:
    """Return why paths cannot be added to an address, '' when they can; nothing of it is in what is said (S10).

    >>> overfull("http://metrics.example/prom"), overfull("http://metrics.example/?token=of-a-proxy")
    ('', 'paths are added to it: it has no query and no fragment (a secret goes into a header)')
    """
    if "?" in address or "#" in address:
        return "paths are added to it: it has no query and no fragment (a secret goes into a header)"
    return ""


def unsendable(secret: str) -> str:
    r"""Return why a token or password cannot stand in a header, '' when it can; nothing of it is in what is said (S10).

    Clients quote what they cannot send in their errors, so it is not given to them.

    >>> unsendable("one"), unsendable("one\ntwo")
    ('', 'it has a character that no header may have (one line of printable ASCII is needed)')
    """
    if secret.isascii() and secret.isprintable():
        return ""
    return "it has a character that no header may have (one line of printable ASCII is needed)"
