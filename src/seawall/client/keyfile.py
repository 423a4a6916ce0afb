"""A file with one Ed25519 private key: 64 hex digits, readable by its owner alone, made once and never overwritten."""

from __future__ import annotations

import os
import re
import secrets
import stat
from pathlib import Path

from seawall.core.errors import InputError, UnreadableFile
from seawall.core.signing import public_key_of

__all__ = ["PrivateKey", "make_key", "open_key", "read_key"]

PRIVATE = 0o600
SECRET_BYTES = 32
TEXT = re.compile(rb"[0-9a-f]{64}\n?")


class PrivateKey:
    """A private key in memory. Its text is nowhere to be seen: neither repr nor str nor a log line shows it."""

    __slots__ = ("public", "secret")

    def __init__(self, secret: bytes) -> None:
        self.secret = secret
        self.public = public_key_of(secret)

    def __repr__(self) -> str:
        return f"PrivateKey(public={self.public})"


def make_key(path: Path | str) -> PrivateKey:
    """A new key in a new file of mode 0600. InputError where there is a file already."""
    place = Path(path)
    place.parent.mkdir(parents=True, exist_ok=True)
    secret = secrets.token_bytes(SECRET_BYTES)
    try:
        descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE)
    except FileExistsError:
        raise InputError(str(place), "a file", "a name that is free: keys are never overwritten") from None
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, PRIVATE)  # whatever the umask says
        file.write(secret.hex().encode() + b"\n")
        file.flush()
        os.fsync(descriptor)
    return PrivateKey(secret)


def read_key(path: Path | str) -> PrivateKey:
    """The key of a file. InputError (UnreadableFile) where there is none, others may read it, or it holds something else."""
    place = str(path)
    try:
        with open(path, "rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & 0o077:
                raise InputError(place, f"mode {mode:04o}", f"mode {PRIVATE:04o}: chmod 600 {place}")
            data = file.read(SECRET_BYTES * 2 + 2)
    except OSError as error:
        raise UnreadableFile(place, (error.strerror or str(error)).lower(), "a file of a private key") from None
    if not TEXT.fullmatch(data):
        raise UnreadableFile(place, "something else", "64 hex digits of an Ed25519 private key")
    return PrivateKey(bytes.fromhex(data.decode().strip()))


def open_key(path: Path | str) -> PrivateKey:
    """The key of a file, which is made where there is none."""
    return read_key(path) if Path(path).exists() else make_key(path)
