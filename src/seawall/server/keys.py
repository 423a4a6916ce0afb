"""API keys: who may do what, and how a secret is kept without keeping it.

A key is written `sw_ID_SECRET`. The secret is 256 random bits and is shown once; the file holds its SHA-256. A slow,
salted hash is for passwords, which people choose and others guess: nobody guesses 256 random bits, however fast the hash, and
a fast one lets every request be checked (0.6 µs). The file is a list of records under mode 0600, replaced as a whole.

Scopes: `read` looks; `trade` opens accounts and places orders, fills and transfers; `risk` gives prices, parameters,
states of accounts and funding; `admin` lets money in and out and opens the venue's own accounts; `bid` is a keeper's: it bids for
failed accounts, for one account of its own, with what its private key has signed (docs/keepers.md). Each of the last four
may look too, and none of them is contained in another.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import os
import re
import secrets
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from seawall.core.errors import InputError, UnreadableFile, show
from seawall.core.signing import check_public_key
from seawall.server.reading import decode

__all__ = ["LOCAL", "SCOPES", "Key", "KeyFile", "Keys", "allows", "parse_scopes"]

SCOPES = ("read", "trade", "risk", "admin", "bid")
SECRET_BYTES = 32
ID_BYTES = 5
TEXT = re.compile(r"^sw_([0-9a-f]{10})_([A-Za-z0-9_-]{43})$")
TEXT_MAX = 64
PRIVATE = 0o600


class Key(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One key as the file holds it. Times are ns since the epoch; `expires_ns` 0 is never, rate 0 the venue's. public_key, account:
    of a keeper: whoever has such a key bids only for that account, and only what that Ed25519 key has signed."""

    id: Annotated[str, Meta(pattern="^[0-9a-f]{10}$")]
    name: Annotated[str, Meta(min_length=1, max_length=64)]
    scopes: list[Literal["read", "trade", "risk", "admin", "bid"]]
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    created_ns: int
    expires_ns: int = 0
    revoked_ns: int = 0
    requests_per_s: Annotated[float, Meta(ge=0)] = 0.0
    public_key: Annotated[str, Meta(pattern="^([0-9a-f]{64})?$")] = ""
    account: str = ""

    def valid(self, now_ns: int) -> bool:
        """Whether it opens anything at that time."""
        return self.revoked_ns == 0 and (self.expires_ns == 0 or now_ns < self.expires_ns)


LOCAL = Key(id="0000000000", name="local", scopes=["read", "trade", "risk", "admin", "bid"], sha256="0" * 64, created_ns=0)
"""Who asks a service on loopback that has no keys at all."""


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: Literal[1]
    keys: list[Key]


def allows(key: Key, scope: str) -> bool:
    """Whether a key has a scope; any key may read."""
    return scope == "read" or scope in key.scopes


def parse_scopes(text: str) -> list[str]:
    """Scopes from "read,trade"; InputError for one that there is not."""
    found = [word.strip() for word in text.split(",") if word.strip()]
    for word in found:
        if word not in SCOPES:
            raise InputError("scopes", show(word), "some of " + ", ".join(SCOPES))
    if not found:
        raise InputError("scopes", show(text), "at least one of " + ", ".join(SCOPES))
    return [scope for scope in SCOPES if scope in found]


class KeyFile:
    """The file of the keys, for the commands that change it; each change is one replacement of the file under a lock."""

    def __init__(self, path: Path | str, clock: Callable[[], int] = time.time_ns) -> None:
        self.path = Path(path)
        self._clock = clock

    def read(self) -> list[Key]:
        """All keys, revoked ones too; none where there is no file. InputError for a file others may read, or no such file."""
        try:
            with self.path.open("rb") as file:
                mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
                if mode & 0o077:
                    raise InputError(str(self.path), f"mode {mode:04o}", f"mode {PRIVATE:04o}: chmod 600 {self.path}")
                data = file.read()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise UnreadableFile(str(self.path), (error.strerror or str(error)).lower(), "a file of keys") from None
        found = decode(data, _Document, str(self.path)).keys
        ids = [key.id for key in found]
        if len(set(ids)) != len(ids):
            raise InputError(str(self.path), "one id twice", "each id once")
        return found

    def create(
        self, name: str, scopes: list[str], *, requests_per_s: float = 0.0, expires_ns: int = 0, public_key: str = "", account: str = ""
    ) -> tuple[Key, str]:
        """A new key: its record, and the text that its holder gets and that is written nowhere."""
        if bool(public_key) != bool(account):
            raise InputError("keeper", f"public key {show(public_key)}, account {show(account)}", "both or neither")
        if public_key:
            check_public_key(public_key, "public key")
        with self._locked():
            keys = self.read()
            key, text = _made(name, scopes, self._clock(), {each.id for each in keys}, requests_per_s, expires_ns)
            key = msgspec.structs.replace(key, public_key=public_key, account=account)
            self._write([*keys, key])
        return key, text

    def revoke(self, id: str) -> Key:
        """Ends a key for good; it stays in the file, so that the audit trail can name it."""
        return self._change(id, lambda key: msgspec.structs.replace(key, revoked_ns=key.revoked_ns or self._clock()))[0]

    def rotate(self, id: str, overlap_ns: int = 0) -> tuple[Key, str]:
        """A new key with the same name, scopes and rate; the old one opens things for `overlap_ns` more, then no longer."""
        if overlap_ns < 0:
            raise InputError("overlap", str(overlap_ns), "0 or more")
        with self._locked():
            keys = self.read()
            old = _named(keys, id, str(self.path))
            now = self._clock()
            if not old.valid(now):
                raise InputError(f"key {id}", "a key that opens nothing any more", "a valid key")
            new, text = _made(old.name, list(old.scopes), now, {key.id for key in keys}, old.requests_per_s, old.expires_ns)
            new = msgspec.structs.replace(new, public_key=old.public_key, account=old.account)
            until = min(now + overlap_ns, old.expires_ns or now + overlap_ns)
            ended = msgspec.structs.replace(old, expires_ns=max(until, 1))
            self._write([ended if key.id == id else key for key in keys] + [new])
        return new, text

    def _change(self, id: str, change: Callable[[Key], Key]) -> list[Key]:
        with self._locked():
            keys = self.read()
            changed = change(_named(keys, id, str(self.path)))
            self._write([changed if key.id == id else key for key in keys])
        return [changed]

    def _write(self, keys: list[Key]) -> None:
        rough = self.path.with_name(self.path.name + ".part")
        rough.unlink(missing_ok=True)
        descriptor = os.open(rough, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, PRIVATE)  # whatever the umask says
            file.write(msgspec.json.format(msgspec.json.encode(_Document(1, keys)), indent=1) + b"\n")
            file.flush()
            os.fsync(descriptor)
        os.replace(rough, self.path)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Two commands at once change the file one after the other."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path.with_name(self.path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE)
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


class Keys:
    """The keys of a running service: looks them up by what a client sent, and notices when the file changes.

    A file that has become unreadable leaves the keys as they were, less none: `problem` says what is wrong with it. The
    `generation` rises whenever the keys change, so that an open socket can tell that its own must be looked up again.
    """

    def __init__(self, path: Path | str, clock: Callable[[], int] = time.time_ns) -> None:
        self._file = KeyFile(path)
        self._clock = clock
        self._seen: tuple[int, ...] = ()
        self._keys: dict[str, Key] = {}
        self._lent: dict[str, Key] = {}
        self.generation = 0
        self.problem = ""
        self._load(self._stamp())

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def open_to_all(self) -> bool:
        """Whether no key was ever made: then whoever reaches the service (loopback alone) may do everything."""
        return not self._keys

    def lend(self, name: str, scopes: list[str]) -> str:
        """The text of a key that lives as long as this process and stands in no file: for the dashboard that it starts."""
        key, text = _made(name, scopes, self._clock(), set(self._keys) | set(self._lent), 0.0, 0)
        self._lent[key.id] = key
        return text

    def all(self) -> list[Key]:
        """All keys, revoked ones too, so that what they wrote can be put to a name."""
        return [*self._keys.values(), *self._lent.values()]

    def find(self, text: str) -> Key | None:
        """The valid key of this text, or none. Takes as long for a wrong secret as for a right one."""
        match = TEXT.match(text) if len(text) <= TEXT_MAX else None
        if match is None:
            return None
        key = self._keys.get(match[1]) or self._lent.get(match[1])
        digest = hashlib.sha256(match[2].encode()).hexdigest()
        right = hmac.compare_digest(digest, key.sha256 if key else "0" * 64)
        return key if right and key is not None and key.valid(self._clock()) else None

    def still(self, id: str) -> Key | None:
        """The valid key of this id: for a socket that has shown its secret before."""
        if id == LOCAL.id:
            return LOCAL if self.open_to_all else None
        key = self._keys.get(id) or self._lent.get(id)
        return key if key is not None and key.valid(self._clock()) else None

    def refresh(self) -> bool:
        """Reads the file again if it has changed; True where it had. Cheap: one `stat`."""
        stamp = self._stamp()
        if stamp == self._seen:
            return False
        try:
            self._load(stamp)
        except InputError as error:
            self._seen, self.problem = stamp, str(error)
            return False
        return True

    def _load(self, stamp: tuple[int, ...]) -> None:
        keys = {key.id: key for key in self._file.read()}
        if self._keys and not keys:
            # A file that was taken away does not open the service to everybody.
            raise InputError(str(self._file.path), "no keys", "the keys that there were")
        self._keys, self._seen, self.problem = keys, stamp, ""
        self.generation += 1

    def _stamp(self) -> tuple[int, ...]:
        try:
            about = self._file.path.stat()
        except OSError:
            return ()
        return (about.st_mtime_ns, about.st_ino, about.st_size, stat.S_IMODE(about.st_mode))


def _made(
    name: str, scopes: list[str], now_ns: int, taken: set[str], requests_per_s: float, expires_ns: int
) -> tuple[Key, str]:
    if not 1 <= len(name) <= 64 or not name.isprintable():
        raise InputError("name of a key", show(name), "1 to 64 printable characters")
    id = secrets.token_hex(ID_BYTES)
    while id in taken or id == LOCAL.id:
        id = secrets.token_hex(ID_BYTES)
    secret = secrets.token_urlsafe(SECRET_BYTES)
    key = Key(
        id=id,
        name=name,
        scopes=parse_scopes(",".join(scopes)),  # type: ignore[arg-type]
        sha256=hashlib.sha256(secret.encode()).hexdigest(),
        created_ns=now_ns,
        expires_ns=expires_ns,
        requests_per_s=requests_per_s,
    )
    return key, f"sw_{id}_{secret}"


def _named(keys: list[Key], id: str, place: str) -> Key:
    for key in keys:
        if key.id == id:
            return key
    raise InputError(place, f"no key {show(id)}", "the id of a key (seawall keys list)")
