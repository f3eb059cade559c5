"""Where a name leads: an address that is looked at before it is connected to, and is the one that is connected to."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Sequence
from typing import TypeAlias

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve: TypeAlias = Callable[[str, int], Sequence[str]]
"""Returns the addresses of a host; raises OSError."""

_CARRIES = tuple(map(ipaddress.IPv6Network, ("64:ff9b::/96", "64:ff9b:1::/48", "::/96")))
"""Networks whose addresses end with an IPv4 one: NAT64 (RFC 6052, RFC 8215), and what was IPv4-compatible."""

_NEVER = frozenset({"fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254", "100.100.100.200", "168.63.129.16", "192.0.0.192"})
"""Addresses of clouds' metadata, which hand out credentials, beside those that are link-local as most of them are."""


class ForbiddenAddress(Exception):
    """A name leads where nothing may be sent."""


def resolved(host: str, port: int) -> Sequence[str]:
    """Return what this machine's resolver says."""
    return tuple(dict.fromkeys(str(one[4][0]) for one in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))


def checked(host: str, found: Sequence[str], *, private: bool) -> str:
    """Return the first of a host's addresses; raise ForbiddenAddress when any is not allowed, OSError without any.

    private: whether addresses that are not the public internet's may be used. A host that is written as a loopback
    address, or as localhost, may be one. The metadata services of clouds never are.
    """
    for text in found:
        why = _forbidden(text.partition("%")[0], private=private or is_loopback(host))
        if why:
            raise ForbiddenAddress(f"{host} leads to {text}, {why}")
    if not found:
        raise OSError(f"{host} has no address")
    return found[0]


def is_loopback(host: str) -> bool:
    """Return whether a host is written as this machine's own."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _forbidden(text: str, *, private: bool) -> str:
    address = _inner(ipaddress.ip_address(text))
    if str(address) in _NEVER or address.is_link_local:
        return "a cloud's metadata service: nothing is ever sent there"
    if address.is_multicast or address.is_unspecified:
        return "which is nobody's own address"
    if not private and not address.is_global:
        return "which is not on the public internet (allow_private: true allows it)"
    return ""


def _inner(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 one carries, or else itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if not address.is_loopback and any(address in net for net in _CARRIES):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address
