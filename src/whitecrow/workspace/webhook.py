"""One delivery to a webhook: to hosts that the operator has named, and never to where a redirect leads.

A host is named on the command line. What it resolves to must be a public address, unless that address is named itself;
``localhost`` names the loopback. An IPv6 address that leads to one of IPv4 is judged by that one too. The connection
goes to the very address that was checked.
"""

import hashlib
import hmac
import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Collection
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import urlsplit

from whitecrow.core.errors import ParameterError

__all__ = ["Destination", "Outcome", "deliver", "signature"]

_LONGEST_URL = 2000
_LOCALHOST = "localhost"
_AGAIN = frozenset({408, 425, 429})
_ANSWER_BYTES = 1024
# The last 32 bits are an address of IPv4 (RFC 4291 and 6052).
_CARRIERS = tuple(map(ipaddress.IPv6Network, ("::/96", "64:ff9b::/96")))
# Not global by RFC 6890, 8215 and 3879, and taken for it by some versions of Python.
_PRIVATE = tuple(map(ipaddress.ip_network, ("192.0.0.0/24", "64:ff9b:1::/48", "fec0::/10")))


class Outcome(NamedTuple):
    """What came of one attempt.

    Parameters
    ----------
    delivered : bool
        Whether the receiver answered with a status from 200 to 299.
    again : bool
        Whether another attempt may succeed.
    detail : str
        In words, without anything that the receiver said.
    """

    delivered: bool
    again: bool
    detail: str


class Destination(NamedTuple):
    """Where a webhook is.

    Parameters
    ----------
    secure : bool
        Whether it is https.
    host : str
        In lower case, without brackets.
    port : int
    target : str
        Path and query.
    """

    secure: bool
    host: str
    port: int
    target: str

    @classmethod
    def of(cls, url: str, allowed: Collection[str]) -> "Destination":
        """Return where an address leads.

        Parameters
        ----------
        url : str
            With http or https, without user and password.
        allowed : collection of str
            Hosts that may be reached, in lower case.

        Raises
        ------
        ParameterError
            If it is no such address, or the operator has not allowed its host.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        host = (parts.hostname or "").lower()
        odd = any(ord(letter) <= 32 or ord(letter) > 126 for letter in url)
        if len(url) > _LONGEST_URL or odd or parts.scheme not in ("http", "https") or not host or "@" in parts.netloc:
            raise ParameterError(
                f"A webhook's address begins with https:// or http://, names a host and no user, and has at most "
                f"{_LONGEST_URL} plain characters. Write it as https://HOST/PATH."
            )
        if host not in allowed:
            raise ParameterError(
                f"The host {host} is not allowed. The operator allows it with: whitecrow serve --allow-webhook {host}"
            )
        secure = parts.scheme == "https"
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return cls(secure, host, (443 if secure else 80) if port is None else port, target)

    def address(self, allowed: Collection[str]) -> str:
        """Return the address that the host has now.

        Raises
        ------
        ParameterError
            If it is not public, and not named itself.
        OSError
            If the host is not known.
        """
        found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        # The first that may be reached: a name can stand for several.
        for entry in found:
            address = str(entry[4][0])
            known = ipaddress.ip_address(address.partition("%")[0])
            meant = [known, *_carried(known)]
            loopback = self.host == _LOCALHOST and any(one.is_loopback for one in meant)
            if loopback or any(str(one) in allowed for one in meant) or _public(known):
                return address
        raise ParameterError(
            f"The host {self.host} leads to a private address. The operator may allow that address itself: "
            "whitecrow serve --allow-webhook ADDRESS"
        )


def _carried(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> list[ipaddress.IPv4Address]:
    """Return the IPv4 address that one of IPv6 stands for, or leads to by a gateway."""
    if isinstance(address, ipaddress.IPv4Address):
        return []
    found = address.ipv4_mapped or address.sixtofour
    if found is None and any(address in carrier for carrier in _CARRIERS):
        found = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return [] if found is None else [found]


def _public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    carried = _carried(address)
    if carried:
        return all(_public(one) for one in carried)
    return address.is_global and not address.is_multicast and not any(address in network for network in _PRIVATE)


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Return the hexadecimal HMAC-SHA256 of ``TIMESTAMP.BODY`` by which a receiver knows who sent it."""
    return hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def deliver(
    url: str, body: bytes, secret: str, delivery: str, *, allowed: Collection[str], timeout: float = 5.0
) -> Outcome:
    """Send one JSON document by POST and return what came of it; redirects are not followed.

    Parameters
    ----------
    url : str
        Of the webhook.
    body : bytes
        JSON.
    secret : str
        Key of the signature.
    delivery : str
        Id that stays the same over attempts, so that a receiver can tell a repetition.
    allowed : collection of str
        Hosts that may be reached.
    timeout : float, default=5
        Seconds for each step; the whole attempt takes at most twice that.
    """
    try:
        place = Destination.of(url, allowed)
        address = place.address(allowed)
    except ParameterError as error:
        return Outcome(delivered=False, again=False, detail=str(error))
    except (OSError, UnicodeError):
        return Outcome(delivered=False, again=True, detail="The host's name is not known.")
    timestamp = str(int(time.time()))
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "whitecrow",
        "X-Whitecrow-Delivery": delivery,
        "X-Whitecrow-Timestamp": timestamp,
        "X-Whitecrow-Signature": f"sha256={signature(secret, timestamp, body)}",
    }
    connection = _connection(place, address, timeout)
    # Each step has its time, and a receiver that sends a byte now and then must not have for ever.
    watch = threading.Timer(2 * timeout, _cut, [connection])
    watch.daemon = True
    watch.start()
    try:
        connection.request("POST", place.target, body, headers)
        answer = connection.getresponse()
        answer.read(_ANSWER_BYTES)
        return _judged(answer.status)
    except (OSError, http.client.HTTPException, ValueError) as error:
        return Outcome(delivered=False, again=True, detail=f"No answer: {type(error).__name__}.")
    finally:
        watch.cancel()
        connection.close()


def _judged(status: int) -> Outcome:
    if 200 <= status < 300:
        return Outcome(delivered=True, again=False, detail=f"Answered {status}.")
    if 300 <= status < 400:
        return Outcome(delivered=False, again=False, detail=f"Answered {status}, a redirect, which is not followed.")
    return Outcome(delivered=False, again=status >= 500 or status in _AGAIN, detail=f"Answered {status}.")


def _connection(place: Destination, address: str, timeout: float) -> http.client.HTTPConnection:
    if place.secure:
        made: http.client.HTTPConnection = _Secure(place.host, place.port, timeout=timeout)
    else:
        made = http.client.HTTPConnection(place.host, place.port, timeout=timeout)

    def connect(_: object, wait: float | None = None, source: object = None) -> socket.socket:
        # The host is named in the request, but reached at the address that was checked.
        return socket.create_connection((address, place.port), wait)

    made._create_connection = connect  # type: ignore[attr-defined]
    return made


class _Secure(http.client.HTTPSConnection):
    def __init__(self, host: str, port: int, *, timeout: float) -> None:
        super().__init__(host, port, timeout=timeout, context=ssl.create_default_context())


def _cut(connection: http.client.HTTPConnection) -> None:
    with suppress(OSError, AttributeError):
        connection.sock.shutdown(socket.SHUT_RDWR)
