"""venue.toml: everything a service is told at its start, as frozen records with a default for nearly all of it.

A key that there is not, a value of the wrong kind and a figure out of its range are refused before anything is opened, each
with file, key, found and expected. Paths in the file are relative to its own folder. `examples/venue.toml` is the same,
with a comment for each key.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from seawall.core.errors import InputError, UnreadableFile
from seawall.server.closing.table import ClosingTable
from seawall.server.reading import convert

__all__ = [
    "BoardConfig",
    "DashboardConfig",
    "DepthTable",
    "FundingTable",
    "JournalConfig",
    "LimitsConfig",
    "LiquidatorTable",
    "ListenConfig",
    "StreamConfig",
    "VenueConfig",
    "VenueTable",
    "is_loopback",
    "load_config",
]

CONFIG_BYTES_MAX = 1 << 20

Port = Annotated[int, Meta(ge=0, le=65535)]
Count = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(gt=0, le=86_400)]


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the file: unknown keys are errors, not typos that go unheard."""


class FundingTable(_Table, frozen=True, kw_only=True):
    """How a perpetual's funding is made, see `ledger.funding.FundingRule`: rates in ppm per `period_s`, charged each `interval_s`."""

    interval_s: Count = 3_600
    period_s: Count = 28_800
    samples: Count = 60
    sample_cap_ppm: Annotated[int, Meta(ge=0)] = 60_000_000
    interest_ppm: int = 0
    damp_ppm: Annotated[int, Meta(ge=-1)] = -1
    cap_ppm: Annotated[int, Meta(ge=0)] = 40_000


class VenueTable(_Table, frozen=True, kw_only=True):
    """What is run. All but `capacity` and `clock_every_s` is what a *new* journal begins with; an existing one keeps its own.

    book: opening accounts, balances and positions; the other side of those positions is held by the account `opening`, of the
    kind backstop. capacity: accounts that can exist; the arrays are made for so many at the start. decimals: of the
    settlement currency in the ledger. hysteresis_ppm: of a requirement, above which a status is left. clock_every_s: where nothing
    else came for so long, the time is recorded, so that options decay and parameters glide (0: never). idempotency_s: how long
    idempotency keys are remembered; they are held in memory and written into every snapshot.
    """

    market: str
    name: Annotated[str, Meta(min_length=1, max_length=64)] = "venue"
    book: str = ""
    model: str = "portfolio"
    parameters: dict[str, Any] = {}
    capacity: Annotated[int, Meta(ge=16, le=10_000_000)] = 100_000
    decimals: Annotated[int, Meta(ge=0, le=9)] = 6
    borrowable: list[str] = []
    hysteresis_ppm: Annotated[int, Meta(ge=0, le=1_000_000)] = 20_000
    funding: dict[str, FundingTable] = {}
    clock_every_s: Annotated[float, Meta(ge=0, le=3_600)] = 1.0
    idempotency_s: Annotated[int, Meta(ge=1, le=604_800)] = 86_400


class JournalConfig(_Table, frozen=True, kw_only=True):
    """Where the log lies and how often a snapshot is taken; when a slow disk is too slow (`journal.Limits`)."""

    folder: str = "journal"
    backend: Literal["sqlite", "segments"] = "sqlite"
    snapshot_every_s: Annotated[float, Meta(ge=0)] = 60.0
    snapshot_every_records: Annotated[int, Meta(ge=0)] = 10_000_000
    snapshot_on_close: bool = True
    pending_mb: Count = 64
    stall_s: Seconds = 2.0


class BoardConfig(_Table, frozen=True, kw_only=True):
    """The status board, a memory-mapped file that other processes read; an empty path: beside the journal."""

    path: str = ""


class ListenConfig(_Table, frozen=True, kw_only=True):
    """Where the API listens and with which keys. An address that is not loopback needs keys, and TLS or `plain = true`.

    plain: allows another address without TLS, for a TLS proxy in front on a private network.
    """

    host: Annotated[str, Meta(min_length=1)] = "127.0.0.1"
    port: Port = 8460
    keys: str = "keys.json"
    tls_certificate: str = ""
    tls_key: str = ""
    plain: bool = False
    shutdown_s: Seconds = 10.0
    access_log: bool = False


class LimitsConfig(_Table, frozen=True, kw_only=True):
    """What one client may ask for: requests a second by key (`seawall keys create --rate` outranks it), sizes, sockets."""

    requests_per_s: Annotated[float, Meta(gt=0)] = 1_000.0
    burst: Annotated[float, Meta(ge=1)] = 2_000.0
    refusals_per_s: Annotated[float, Meta(gt=0)] = 10.0
    body_bytes: Annotated[int, Meta(ge=1024, le=1 << 26)] = 1 << 20
    frame_bytes: Annotated[int, Meta(ge=1024, le=1 << 26)] = 1 << 20
    header_bytes: Annotated[int, Meta(ge=1024, le=1 << 20)] = 1 << 15
    header_s: Seconds = 10.0
    connections: Count = 4_096
    sockets_per_key: Count = 256


class StreamConfig(_Table, frozen=True, kw_only=True):
    """The stream: messages kept for who comes back, how far a reader may fall behind, how often prices are sent."""

    kept: Annotated[int, Meta(ge=16, le=10_000_000)] = 65_536
    behind: Annotated[int, Meta(ge=8)] = 8_192
    stalled_s: Seconds = 15.0
    prices_every_ms: Annotated[int, Meta(ge=1, le=60_000)] = 100


class DashboardConfig(_Table, frozen=True, kw_only=True):
    """The dashboard: a process of its own that `seawall serve` starts, niced, and starts again if it dies."""

    enabled: bool = False
    host: Annotated[str, Meta(min_length=1)] = "127.0.0.1"
    port: Port = 8461
    nice: Annotated[int, Meta(ge=0, le=19)] = 10


class DepthTable(_Table, frozen=True, kw_only=True):
    """What an underlying's markets are taken to absorb: notional (whole units of the settlement currency) until the price has moved
    by so many ppm, both rising."""

    moves_ppm: Annotated[list[Annotated[int, Meta(ge=1, le=999_999)]], Meta(min_length=1, max_length=64)]
    notional: Annotated[list[Annotated[int, Meta(ge=0, le=10**12)]], Meta(min_length=1, max_length=64)]


class LiquidatorTable(_Table, frozen=True, kw_only=True):
    """How a service works on the accounts that it closes, where the venue has terms for that; may change at every start.

    beat_ms, budget_ms: it looks around so often, and works at most so long before everybody else has the loop again. look_s: an
    account in an episode is looked at so often where nothing happens to it. order_s: after so long an order that nobody executes at
    any cost is asked back; confirm_s: and one that was asked back is over. stale_s: age of a price at which its bucket's auctions
    stop (0: never). minimum, full_below, step: least notional of an order, of an account below which all is closed at once, and
    most in one step (0: no such rule), whole units; share_ppm: most of a position in one step. slippage_ppm: what
    closing is taken to cost where no depth is said. gain_limit_ppm: most that a slice may make others sell, of itself, where depth is
    said. winners_max: most accounts that a haircut is spread over.
    """

    beat_ms: Annotated[float, Meta(ge=1, le=10_000)] = 50.0
    budget_ms: Annotated[float, Meta(gt=0, le=1_000)] = 3.0
    look_s: Annotated[float, Meta(ge=0.01, le=3_600)] = 1.0
    order_s: Seconds = 30.0
    confirm_s: Seconds = 15.0
    stale_s: Annotated[float, Meta(ge=0, le=86_400)] = 30.0
    minimum: Annotated[int, Meta(ge=0, le=10**9)] = 10
    full_below: Annotated[int, Meta(ge=0, le=10**9)] = 100
    step: Annotated[int, Meta(ge=0, le=10**12)] = 0
    share_ppm: Annotated[int, Meta(ge=1, le=1_000_000)] = 1_000_000
    slippage_ppm: Annotated[int, Meta(ge=1, le=999_999)] = 10_000
    gain_limit_ppm: Annotated[int, Meta(ge=0, le=1_000_000)] = 500_000
    winners_max: Annotated[int, Meta(ge=0, le=100_000)] = 2_000
    depth: dict[str, DepthTable] = {}


class VenueConfig(_Table, frozen=True, kw_only=True):
    """The whole file. `root`: the folder that its paths are relative to."""

    venue: VenueTable
    journal: JournalConfig = JournalConfig()
    board: BoardConfig = BoardConfig()
    listen: ListenConfig = ListenConfig()
    limits: LimitsConfig = LimitsConfig()
    stream: StreamConfig = StreamConfig()
    dashboard: DashboardConfig = DashboardConfig()
    closing: ClosingTable | None = None
    liquidator: LiquidatorTable = LiquidatorTable()
    log: Literal["debug", "info", "warning", "error"] = "info"
    root: str = ""

    def path(self, name: str) -> Path:
        """A path of the file, relative to its folder."""
        return Path(self.root, name)

    @property
    def journal_folder(self) -> Path:
        """The folder of the journal."""
        return self.path(self.journal.folder)

    @property
    def board_path(self) -> Path:
        """The status board's file."""
        return self.path(self.board.path) if self.board.path else self.journal_folder / "status.board"

    @property
    def keys_path(self) -> Path:
        """The file of the API keys."""
        return self.path(self.listen.keys)


def load_config(path: Path | str) -> VenueConfig:
    """The configuration in a TOML file. Raises InputError (place: file and key) for what it cannot be."""
    path = Path(path)
    try:
        if path.stat().st_size > CONFIG_BYTES_MAX:
            raise UnreadableFile(str(path), f"{path.stat().st_size:,} bytes", "at most 1 MiB of TOML")
        text = path.read_bytes().decode()
        document = tomllib.loads(text)
    except OSError as error:
        raise UnreadableFile(str(path), (error.strerror or str(error)).lower(), "a venue.toml") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UnreadableFile(str(path), f"no TOML ({error})", "a TOML document") from None
    if "root" in document:
        raise InputError(f"{path}: root", "a value", "nothing: paths are relative to the file")
    config = convert(document, VenueConfig, str(path))
    _check(config, str(path))
    return msgspec.structs.replace(config, root=str(path.parent))


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address. A name other than localhost may mean anything: no."""
    import ipaddress

    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _check(config: VenueConfig, place: str) -> None:
    """What one key alone cannot tell."""
    listen = config.listen
    if bool(listen.tls_certificate) != bool(listen.tls_key):
        missing = "tls_key" if listen.tls_certificate else "tls_certificate"
        raise InputError(f"{place}: listen.{missing}", "nothing", "a file, since the other half of TLS is given")
    if not is_loopback(config.dashboard.host):
        raise InputError(
            f"{place}: dashboard.host", config.dashboard.host, "a loopback address (put a proxy with a login in front)"
        )
    if config.stream.behind > config.stream.kept:
        raise InputError(f"{place}: stream.behind", config.stream.behind, f"at most stream.kept ({config.stream.kept})")
    if config.dashboard.enabled and config.dashboard.port == listen.port and listen.port:
        raise InputError(f"{place}: dashboard.port", config.dashboard.port, "another port than listen.port")
