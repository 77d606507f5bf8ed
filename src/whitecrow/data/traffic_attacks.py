"""The attacks of the synthetic network: what each kind looks like and how its campaigns unfold in time.

No kind is a caricature. Attackers sit behind the busy shared addresses, borrow ordinary services and
volumes, and each kind comes in variants that betray themselves in different columns, so that hardly any
column alone gives a kind away; what is wrong is the combination.
"""

from dataclasses import dataclass

__all__ = ["ATTACKS", "Variant"]


@dataclass(frozen=True, slots=True)
class Variant:
    """One way of carrying out a kind of attack.

    ``services`` lists what a connection may use; ``keeps`` names what stays the same throughout a campaign,
    the rest is drawn for each connection. ``pause`` is the mean number of seconds between two connections of
    a campaign, ``jitter`` its spread as a share of it (None: exponential). ``volume``, ``spread`` and
    ``flags`` are as in an ordinary profile.
    """

    share: float
    source: str
    destination: str
    services: tuple[str, ...]
    volume: tuple[float, float, float]
    pause: float
    flags: tuple[tuple[str, float], ...] = (("REJ", 0.02), ("S0", 0.02), ("RSTO", 0.03))
    spread: float = 1.0
    protocol: str = "tcp"
    jitter: float | None = None
    keeps: tuple[str, ...] = ("source",)
    any_port: bool = False
    campaign: int = 8


_WEB = ("https",)

# kind: its share of the attacks and its variants
ATTACKS: dict[str, tuple[float, tuple[Variant, ...]]] = {
    "port_scan": (
        0.17,
        (
            # Fast over the ports of one server: most are closed.
            Variant(0.34, "gateways", "servers", ("other", "ssh", "https", "smb"), (0.2, 150, 200), 1.5,
                    flags=(("REJ", 0.55), ("S0", 0.25)), keeps=("source", "destination"), any_port=True,
                    campaign=12),
            # Over all hosts on ports that answer: the banner is read to its end.
            Variant(0.33, "gateways", "office", ("https", "smb", "imap"), (0.3, 300, 4000), 1.5, campaign=12),
            # Half-open, over days.
            Variant(0.33, "gateways", "internet", ("https", "http", "other"), (1.0, 6_000, 600), 45,
                    flags=(("RSTO", 0.45), ("RSTR", 0.35)), any_port=True),
        ),
    ),
    "syn_flood": (
        0.17,
        (
            Variant(0.6, "internet", "web", _WEB, (1.0, 600, 900), 0.5, flags=(("S0", 0.80), ("S1", 0.08)),
                    keeps=("destination",), campaign=20),
            Variant(0.4, "clients", "mail", ("imap", "smtp"), (1.0, 600, 900), 1.0,
                    flags=(("S0", 0.70), ("S1", 0.15)), keeps=("destination",), campaign=20),
        ),
    ),
    "password_guessing": (
        0.17,
        (
            # As fast as the server answers.
            Variant(0.34, "gateways", "mail", ("imap", "https"), (1.5, 700, 900), 0.4, spread=0.2,
                    flags=(("RSTO", 0.20),), keeps=("source", "destination"), campaign=12),
            # Sprayed from a botnet over a long time; the server hangs up.
            Variant(0.33, "internet", "web", _WEB, (1.5, 1200, 1500), 6, flags=(("RSTR", 0.60), ("S1", 0.20)),
                    keeps=("destination",), campaign=12),
            # From inside against services outside, until each refuses.
            Variant(0.33, "gateways", "internet", ("https", "ssh"), (3.0, 1500, 1800), 3,
                    flags=(("REJ", 0.45), ("RSTR", 0.30))),
        ),
    ),
    "exfiltration": (
        0.16,
        (
            # All at once, to the public web server, to be fetched from there.
            Variant(0.34, "gateways", "web", _WEB, (900, 4e7, 20_000), 120, spread=0.8),
            # In name lookups that are far too large.
            Variant(0.33, "gateways", "internet", ("dns", "https"), (0.3, 900, 1500), 0.4, spread=0.3,
                    protocol="udp", campaign=12),
            # In small portions over a connection that never ends.
            Variant(0.33, "gateways", "internet", _WEB, (6000, 1_200, 8_000), 400, spread=0.5,
                    flags=(("S1", 0.60),)),
        ),
    ),
    "beaconing": (
        0.16,
        (
            # The control server is often down.
            Variant(0.34, "gateways", "internet", _WEB, (0.6, 700, 450), 20, jitter=0.3,
                    flags=(("S0", 0.40), ("RSTR", 0.40)), keeps=("source", "destination")),
            # One long connection after another, hardly anything said.
            Variant(0.33, "gateways", "internet", _WEB, (8000, 4_000, 6_000), 9000, spread=0.4, jitter=0.2,
                    flags=(("S1", 0.50),)),
            # Hidden in echo requests.
            Variant(0.33, "gateways", "servers", ("other",), (0.1, 5_000, 5_000), 300, spread=0.3, jitter=0.3,
                    protocol="icmp"),
        ),
    ),
    "lateral_movement": (
        0.17,
        (
            # From host to host in minutes.
            Variant(0.34, "gateways", "office", ("smb", "ssh", "https"), (4.0, 5_000, 5_000), 2,
                    flags=(("REJ", 0.20), ("S0", 0.20))),
            # Held open for hours through a relay outside.
            Variant(0.33, "gateways", "internet", ("ssh", "https"), (7000, 60_000, 60_000), 600, spread=0.7,
                    flags=(("S1", 0.50),)),
            # Copying all there is to read.
            Variant(0.33, "gateways", "servers", ("smb", "https"), (40, 9_000, 3e7), 60),
        ),
    ),
}  # fmt: skip
