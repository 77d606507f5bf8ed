"""What a server listens on and how much it takes: checked once, before anything starts."""

import ipaddress
from dataclasses import dataclass, field, fields
from typing import Annotated, get_type_hints

from whitecrow.core.errors import ParameterError
from whitecrow.core.parameters import Count, NonNegative, Positive, Range, check
from whitecrow.workspace.stream import LiveFile, LiveFiles

__all__ = ["SHORTEST_TOKEN", "Settings", "is_loopback"]

SHORTEST_TOKEN = 16
Port = Annotated[int, Range(1, 65535)]


def is_loopback(host: str) -> bool:
    """Return whether an address can be reached from this machine alone (127.0.0.0/8, ::1, localhost)."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Settings:
    """Where a server listens, who may speak to it, and how much it takes.

    Parameters
    ----------
    host : str, default="127.0.0.1"
        Address to listen on. Beyond loopback a token is required.
    port : int from 1 to 65535, default=8000
    token : str or None, default=None
        Secret that every request must carry, at least 16 characters without blanks at its ends.
    allowed_hosts : tuple of str, default=()
        Names, without a port, that a request's Host header may have. On loopback these come beside ``localhost``,
        ``127.0.0.1``, ``::1`` and ``host``; elsewhere none means any, since the token guards.
    allowed_webhooks : tuple of str, default=()
        Hosts, or addresses, that webhooks of alert rules may reach; none by default. A host must lead to a public
        address, unless that address is named too; ``localhost`` names the loopback.
    live_files : tuple of LiveFile, default=()
        Files that streams may follow as they grow; none by default.
    max_body_bytes : int, default=100 MiB
        Largest request body, as sent and once inflated.
    max_json_bytes : int, default=16 MiB
        Largest JSON table. JSON takes up to twenty times its size in memory while it is read.
    max_bytes_in_flight : int, default=400 MiB
        Bytes of all request bodies that are held at once.
    max_rows, max_columns, max_cells : int, default=1_000_000, 2_000, 60_000_000
        Largest table in a request body.
    max_decoded_bytes : int, default=512 MiB
        Most bytes that a Parquet or Arrow body may come to once its pages are decompressed.
    request_seconds : float, default=60
        Seconds within which a request body must have arrived.
    work_seconds : float, default=60
        Seconds that a request waits for what it asks to be computed.
    max_concurrent : int, default=64
        Requests answered at once.
    max_waiting : int, default=1024
        Scoring requests that wait for their turn.
    batch_rows : int, default=16_384
        Rows scored in one call; larger tables are cut, so that small ones come between.
    batch_window_ms : float, default=0
        How long a scoring request waits for others before its call starts. What comes during a call is scored in
        the next one in any case, so that batches form under load without a window.
    log_json : bool, default=True
        Whether logs are one JSON document per line, or plain text.

    Raises
    ------
    ParameterError
        If a value is out of its range, the token too short, the address beyond loopback without a token, or two live
        files have the same name.

    Examples
    --------
    >>> Settings(port=9000).loopback
    True
    """

    host: str = "127.0.0.1"
    port: Port = 8000
    token: str | None = field(default=None, repr=False)
    allowed_hosts: tuple[str, ...] = ()
    allowed_webhooks: tuple[str, ...] = ()
    live_files: tuple[LiveFile, ...] = ()
    max_body_bytes: Count = 100 << 20
    max_json_bytes: Count = 16 << 20
    max_bytes_in_flight: Count = 400 << 20
    max_rows: Count = 1_000_000
    max_columns: Count = 2_000
    max_cells: Count = 60_000_000
    max_decoded_bytes: Count = 512 << 20
    request_seconds: Positive = 60.0
    work_seconds: Positive = 60.0
    max_concurrent: Count = 64
    max_waiting: Count = 1024
    batch_rows: Count = 16_384
    batch_window_ms: NonNegative = 0.0
    log_json: bool = True

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self), include_extras=True)
        for one in fields(self):
            # The message of this check says the value, and a token ends up in logs then.
            if one.name != "token":
                check("Settings", one.name, getattr(self, one.name), hints[one.name])
        if not self.host.strip():
            raise ParameterError(f"Settings(host={self.host!r}): host must be an address, such as 127.0.0.1.")
        _check_token(self.token)
        if self.token is None and not self.loopback:
            raise ParameterError(
                f"Settings(host={self.host!r}) can be reached from other machines, and there is no token. Give one of "
                f"at least {SHORTEST_TOKEN} characters (on the command line: --token), or listen on 127.0.0.1."
            )
        LiveFiles().allow(self.live_files)
        if self.max_bytes_in_flight < self.max_body_bytes:
            raise ParameterError(
                f"Settings(max_bytes_in_flight={self.max_bytes_in_flight}) is less than max_body_bytes="
                f"{self.max_body_bytes}, so that the largest body would never be taken. Raise it to at least that."
            )

    @property
    def loopback(self) -> bool:
        """Whether the server can be reached from this machine alone."""
        return is_loopback(self.host)

    @property
    def hosts(self) -> frozenset[str] | None:
        """Names that a Host header may have, in lower case and without brackets; None if any may come."""
        named = {name.lower().strip("[]") for name in self.allowed_hosts}
        if self.loopback:
            return frozenset({"localhost", "127.0.0.1", "::1", self.host.lower().strip("[]")} | named)
        return frozenset(named) or None


def _check_token(token: str | None) -> None:
    if token is None:
        return
    if not isinstance(token, str) or len(token) < SHORTEST_TOKEN or token != token.strip():
        raise ParameterError(
            f"Settings(token=...): a token must have at least {SHORTEST_TOKEN} characters, without blanks at its ends. "
            "Make one with: python -c 'import secrets; print(secrets.token_urlsafe(32))'"
        )
