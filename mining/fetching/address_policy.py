"""Which hosts may be contacted: every address that a name resolves to is checked, and only a checked one is used."""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mining.fetching.addresses import Target
from mining.fetching.verdicts import StoppedError, failed, rejected

#: `resolver(host, port)` answers as `socket.getaddrinfo` does for stream sockets.
Resolver = Callable[[str, int], Sequence[tuple[Any, ...]]]
IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

#: Ports of other services (the Fetch standard's bad ports): an HTTP request there could be taken for a command.
# fmt: off
REFUSED_PORTS = frozenset((
    0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104,
    109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515,
    526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049,
    3306, 3659, 4045, 4190, 5060, 5061, 5432, 6000, 6379, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
    11211,
))
# fmt: on
#: Metadata services that lie outside the reserved ranges.
_METADATA = frozenset(
    ipaddress.ip_address(one)
    for one in (
        "168.63.129.16",
        "100.100.100.200",
        "192.0.0.192",
        "fd00:ec2::254",
        "fd20:ce::254",
        "fd00:c1::a9fe:a9fe",
    )
)
#: Endings of names that no look-up may lead anywhere (RFC 6761, RFC 7686).
_NO_HOSTS = ("invalid", "onion")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
#: How long a look-up is believed, seconds.
_LOOKUP_LIFETIME = 300.0


@dataclass(frozen=True)
class Endpoint:
    """One checked socket address."""

    family: int
    address: tuple[Any, ...]


def system_resolver(host: str, port: int) -> Sequence[tuple[Any, ...]]:
    """The system's look-up."""
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


def permitted(address: IPAddress, private: bool) -> bool:
    """Whether an IP address may be contacted; `private` admits loopback and private networks, never link-local,
    multicast, reserved, unspecified or metadata addresses. IPv4 addresses inside IPv6 ones are judged themselves."""
    inner = _embedded(address)
    if inner is not None:
        return permitted(inner, private)
    if address in _METADATA or address.is_multicast or address.is_unspecified or address.is_link_local:
        return False
    if private and (address.is_loopback or (address.is_private and not address.is_reserved)):
        return True
    if isinstance(address, ipaddress.IPv6Address) and address.is_site_local:
        return False
    return address.is_global and not (address.is_reserved or address.is_loopback)


def _embedded(address: IPAddress) -> ipaddress.IPv4Address | None:
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    # The deprecated IPv4-compatible form, ::a.b.c.d, but for :: and ::1.
    if int(address) >> 32 == 0 and int(address) > 1:
        return ipaddress.IPv4Address(int(address))
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)


class AddressPolicy:
    """Resolves hosts and refuses those that may not be contacted. Used by many threads.

    The answer of a look-up is kept for five minutes; what is handed out has always been checked, and the caller
    connects to nothing else, so a name that resolves differently the second time gains nothing."""

    def __init__(self, allow_hosts: Sequence[str], resolver: Resolver, lookup_seconds: float) -> None:
        self._allowed = frozenset(allow_hosts)
        self._resolver = resolver
        self._seconds = lookup_seconds
        self._known: dict[tuple[str, int], tuple[float, tuple[Endpoint, ...] | StoppedError]] = {}

    def endpoints(self, target: Target) -> tuple[Endpoint, ...]:
        """The socket addresses of a target, in the resolver's order.

        Raises StoppedError: rejected `address_refused` or `unknown_host`, failed `dns_failure`."""
        key = (target.host, target.port)
        moment, known = self._known.get(key, (0.0, None))
        if known is None or time.monotonic() - moment > _LOOKUP_LIFETIME:
            try:
                known = self._check(target)
            except StoppedError as error:
                known = error
            self._known[key] = (time.monotonic(), known)
        if isinstance(known, StoppedError):
            verdict = known.verdict
            raise StoppedError(verdict, retryable=known.retryable, unreachable=known.unreachable)
        return known

    def _check(self, target: Target) -> tuple[Endpoint, ...]:
        if target.port in REFUSED_PORTS:
            raise rejected("address_refused", f"port {target.port}")
        if target.host.rpartition(".")[2] in _NO_HOSTS:
            raise rejected("unknown_host", f"no host has a name in .{target.host.rpartition('.')[2]}")
        host = f"[{target.host}]" if ":" in target.host else target.host
        private = bool(self._allowed & {target.host, host, f"{host}:{target.port}"})
        found = self._look_up(target)
        endpoints = []
        for family, _, _, _, address in found:
            if family not in (socket.AF_INET, socket.AF_INET6):
                continue
            ip = ipaddress.ip_address(str(address[0]).partition("%")[0])
            # One bad address among good ones is what a rebinding name looks like: none of them is used.
            if not permitted(ip, private):
                raise rejected("address_refused", f"{target.host} is {ip}")
            endpoints.append(Endpoint(family, tuple(address)))
        if not endpoints:
            raise rejected("unknown_host", "no IPv4 or IPv6 address")
        return tuple(endpoints)

    def _look_up(self, target: Target) -> Sequence[tuple[Any, ...]]:
        """The resolver's answer within the time limit: a look-up cannot be interrupted, so it gets its own thread."""
        answer: list[Sequence[tuple[Any, ...]] | OSError | UnicodeError] = []

        def look_up() -> None:
            try:
                answer.append(self._resolver(target.host, target.port))
            except (OSError, UnicodeError) as error:
                answer.append(error)

        thread = threading.Thread(target=look_up, daemon=True, name="look-up")
        thread.start()
        thread.join(self._seconds)
        if not answer:
            raise failed("dns_failure", "the look-up timed out", unreachable=True)
        result = answer[0]
        if isinstance(result, UnicodeError):
            raise rejected("bad_address", str(result))
        if isinstance(result, socket.gaierror) and result.errno in (socket.EAI_NONAME, _EAI_NODATA):
            raise rejected("unknown_host", str(result.strerror))
        if isinstance(result, OSError):
            raise failed("dns_failure", str(result), unreachable=True)
        return result


_EAI_NODATA = getattr(socket, "EAI_NODATA", socket.EAI_NONAME)
