"""The synthetic network: its hosts, the services they use and what ordinary traffic looks like.

Everything here is invented. No figure was fitted to a real capture; shares, medians and rhythms were chosen
to be plausible for an office of some fifty hosts.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "FLAGS",
    "HOSTS",
    "PROFILES",
    "PROTOCOLS",
    "SERVICES",
    "Profile",
    "host_indices",
    "rhythm",
    "weights",
]

WORKSTATIONS = tuple(f"ws-{i:02d}" for i in range(1, 25))
NETS = tuple(f"net-{c}" for c in "abcdef")  # blocks of Internet addresses, as a border monitor groups them
ADMINS = ("admin-1", "admin-2", "admin-3")
GATEWAYS = ("vpn-gateway", "wifi-gateway")  # many people behind one address
SERVERS = ("dns", "mail", "web", "files", "database", "backup", "monitor", "updates")
PRINTERS = ("printer-1", "printer-2")
HOSTS = (*WORKSTATIONS, *ADMINS, *GATEWAYS, *SERVERS, *PRINTERS, *NETS)

SERVICES = ("dns", "http", "https", "imap", "ntp", "other", "printing", "smb", "smtp", "snmp", "sql", "ssh")
PORTS = dict(zip(SERVICES, (53, 80, 443, 143, 123, 0, 9100, 445, 25, 161, 3306, 22), strict=True))
PROTOCOLS = ("icmp", "tcp", "udp")
# States of a TCP connection in the notation of flow monitors; SF is an ordinary end, S0 an attempt without
# answer.
FLAGS = ("REJ", "RSTO", "RSTR", "S0", "S1", "SF")

_GROUPS = {
    "clients": (*WORKSTATIONS, *ADMINS, *GATEWAYS),
    "staff": (*WORKSTATIONS, *ADMINS),
    "admins": ADMINS,
    "gateways": GATEWAYS,
    "servers": SERVERS,
    "office": (*WORKSTATIONS, *ADMINS, *SERVERS, *PRINTERS),
    "printers": PRINTERS,
    "internet": NETS,
    "senders": ("files", "database", "mail", "web"),
}
# People behind a gateway share one address, so gateways are busy; a few workstations are busier than the
# rest.
_BUSY = {
    "vpn-gateway": 50.0, "wifi-gateway": 40.0, "net-a": 4.0, "net-b": 3.0, "net-c": 2.5,
    "web": 14.0, "mail": 10.0, "files": 10.0, "dns": 4.0, "database": 2.0,
}  # fmt: skip


def host_indices(group: str) -> NDArray[np.int64]:
    """Return the indices into :data:`HOSTS` of a group of hosts, or of the one host of that name."""
    names = _GROUPS.get(group, (group,))
    return np.array([HOSTS.index(name) for name in names])


def weights(hosts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return how busy each of ``hosts`` is, as probabilities."""
    weight = np.array([_BUSY.get(HOSTS[h], 1.5 if h % 5 == 0 else 1.0) for h in hosts])
    return weight / weight.sum()


def rhythm(name: str, days: int, weekday: int) -> NDArray[np.float64]:
    """Return the traffic's density for each hour of ``days`` days, summing to 1.

    Parameters
    ----------
    name : {"office", "public", "night", "flat"}
        Working hours, the web's visitors, jobs between 1 and 4 in the morning, or no rhythm.
    days : int
        Days to cover.
    weekday : int
        Weekday of the first day, 0 = Monday.
    """
    hour = np.arange(24)
    shapes = {
        "office": 0.06 + np.exp(-0.5 * ((hour - 10.2) / 1.8) ** 2) + 0.9 * np.exp(-0.5 * ((hour - 15) / 2.0) ** 2),
        "public": 0.35 + np.exp(-0.5 * ((hour - 12) / 3.5) ** 2) + 0.9 * np.exp(-0.5 * ((hour - 20) / 2.2) ** 2),
        "night": 0.01 + ((hour >= 1) & (hour < 5)),
        "flat": np.ones(24),
    }
    weekend = {"office": 0.22, "public": 1.1, "night": 1.0, "flat": 1.0}[name]
    day = np.where((weekday + np.arange(days)) % 7 >= 5, weekend, 1.0)
    density = np.outer(day, shapes[name]).ravel()
    return density / density.sum()


@dataclass(frozen=True, slots=True)
class Profile:
    """One kind of ordinary traffic.

    ``volume`` holds the medians of seconds, bytes out and bytes in; ``spread`` the standard deviation of
    their logarithms. ``flags`` holds the shares of the states other than SF. ``burst`` is the mean number of
    connections in a session and ``pause`` the mean seconds between two of them; ``period`` is set for traffic
    that a clock starts: its jitter as a share of the period.
    """

    name: str
    share: float
    source: str
    destination: str
    service: str
    protocol: str = "tcp"
    rhythm: str = "office"
    volume: tuple[float, float, float] = (1.0, 500.0, 2000.0)
    spread: float = 1.0
    burst: float = 1.0
    pause: float = 10.0
    period_jitter: float | None = None
    flags: tuple[tuple[str, float], ...] = (("REJ", 0.02), ("S0", 0.02), ("RSTO", 0.03))


_FLAKY = (("REJ", 0.18), ("S0", 0.22), ("RSTO", 0.15), ("RSTR", 0.10), ("S1", 0.05))
_UDP = (("S0", 0.04),)

PROFILES = (
    Profile("visitors", 0.14, "internet", "web", "https", rhythm="public", volume=(1.5, 900, 14_000),
        spread=1.1,
            burst=5, pause=12, flags=(("S0", 0.05), ("RSTO", 0.07), ("REJ", 0.02), ("RSTR", 0.03))),
    Profile("browsing", 0.17, "clients", "internet", "https", volume=(4.0, 1500, 24_000), spread=1.2, burst=6,
            pause=10, flags=(("RSTO", 0.06), ("REJ", 0.02), ("S0", 0.03), ("RSTR", 0.03))),
    Profile("plain browsing", 0.04, "clients", "internet", "http", volume=(1.2, 500, 9_000), burst=4,
        pause=10),
    Profile("uploads", 0.06, "clients", "internet", "https", volume=(20.0, 90_000, 4_000), spread=1.3,
        burst=3,
            pause=40),
    Profile("name lookups", 0.07, "clients", "dns", "dns", "udp", volume=(0.03, 70, 190), spread=0.5, burst=4,
            pause=8, flags=_UDP),
    Profile("forwarded lookups", 0.015, "dns", "internet", "dns", "udp", volume=(0.06, 75, 260), spread=0.6,
            burst=3, pause=6, flags=_UDP),
    Profile("reading mail", 0.08, "clients", "mail", "imap", volume=(3.0, 900, 6_000), spread=1.2, burst=3,
            pause=60),
    Profile("sending mail", 0.03, "clients", "mail", "smtp", volume=(2.5, 25_000, 700), spread=1.3, burst=2,
            pause=30),
    Profile("mail exchange", 0.02, "mail", "internet", "smtp", volume=(3.0, 18_000, 800), spread=1.3, burst=2,
            pause=20),
    Profile("file reads", 0.06, "clients", "files", "smb", volume=(12.0, 4_000, 60_000), spread=1.4, burst=5,
            pause=20),
    Profile("file writes", 0.04, "clients", "files", "smb", volume=(12.0, 70_000, 4_000), spread=1.4, burst=4,
            pause=20),
    Profile("queries", 0.025, "web", "database", "sql", rhythm="public", volume=(0.2, 700, 5_000), spread=1.1,
            burst=5, pause=6),
    Profile("backups", 0.02, "senders", "backup", "ssh", rhythm="night", volume=(90.0, 4e6, 30_000),
        spread=1.2,
            burst=6, pause=60),
    Profile("remote work", 0.035, "clients", "servers", "ssh", volume=(200.0, 9_000, 20_000), spread=1.3,
        burst=2,
            pause=90),
    Profile("administration", 0.025, "admins", "office", "ssh", volume=(15.0, 5_000, 9_000), spread=1.3,
        burst=8,
            pause=25, flags=(("REJ", 0.05), ("S0", 0.06), ("RSTO", 0.05))),
    Profile("shared folders", 0.025, "clients", "staff", "smb", volume=(5.0, 6_000, 8_000), spread=1.4,
        burst=3,
            pause=30, flags=(("REJ", 0.06), ("S0", 0.08), ("RSTO", 0.04))),
    Profile("printing", 0.01, "clients", "printers", "printing", volume=(6.0, 60_000, 500), spread=1.0),
    Profile("monitoring", 0.02, "monitor", "office", "snmp", "udp", rhythm="flat", volume=(0.05, 90, 140),
            spread=0.3, period_jitter=0.02, flags=_UDP),
    Profile("service checks", 0.03, "monitor", "office", "other", rhythm="flat", volume=(0.1, 150, 250),
            spread=0.6, period_jitter=0.05, flags=(("REJ", 0.25), ("S0", 0.12), ("RSTO", 0.08))),
    Profile("clock", 0.02, "clients", "internet", "ntp", "udp", rhythm="flat", volume=(0.04, 76, 76),
        spread=0.1,
            period_jitter=0.05, flags=_UDP),
    Profile("update checks", 0.03, "clients", "updates", "https", rhythm="flat", volume=(0.4, 500, 900),
            spread=0.7, period_jitter=0.15),
    Profile("telemetry", 0.04, "clients", "internet", "https", rhythm="flat", volume=(0.3, 700, 450),
        spread=0.7,
            period_jitter=0.25),
    Profile("calls and games", 0.05, "clients", "internet", "other", "udp", volume=(60.0, 60_000, 80_000),
            spread=1.5, burst=2, pause=30, flags=_UDP),
    Profile("flaky clients", 0.045, "clients", "servers", "other", volume=(0.8, 300, 400), spread=1.0,
        burst=6,
            pause=12, flags=_FLAKY),
)  # fmt: skip
