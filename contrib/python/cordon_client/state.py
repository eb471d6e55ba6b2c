"""The file of one device: its private keys and what it remembers, encrypted under a passphrase of its own."""

import fcntl
import json
import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from .refused import Refused, demand
from .wire import Json

MAGIC = b"cordon-client 1\n"
SALT_BYTES, NONCE_BYTES = 16, 12


class State:
    """`data` is written by `save`, whole, to a new file that then takes the place of the old one."""

    def __init__(self, path: Path, salt: bytes, passphrase: str, lock: int):
        self.path, self._salt, self._passphrase, self._lock = path, salt, passphrase, lock
        self.data: Json = {}
        self._key = Scrypt(salt=salt, length=32, n=2**17, r=8, p=1).derive(passphrase.encode())

    @classmethod
    def create(cls, path: Path, passphrase: str) -> "State":
        demand(not path.exists(), "STATE", f"{path} exists already")
        demand(len(passphrase) >= 12, "STATE", "a passphrase has at least 12 characters")
        return cls(path, secrets.token_bytes(SALT_BYTES), passphrase, _lock(path))

    @classmethod
    def open(cls, path: Path, passphrase: str) -> "State":
        lock = _lock(path)
        try:
            raw = path.read_bytes()
        except FileNotFoundError as error:
            raise Refused("STATE", f"{path} does not exist: enrol first") from error
        demand(raw.startswith(MAGIC), "STATE", f"{path} is no file of this client")
        head, sealed = raw[: len(MAGIC) + SALT_BYTES], raw[len(MAGIC) + SALT_BYTES :]
        state = cls(path, head[len(MAGIC) :], passphrase, lock)
        try:
            state.data = json.loads(AESGCM(state._key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], head))
        except InvalidTag as error:
            raise Refused("STATE", "this passphrase does not open the file") from error
        return state

    def save(self) -> None:
        head, nonce = MAGIC + self._salt, secrets.token_bytes(NONCE_BYTES)
        sealed = AESGCM(self._key).encrypt(nonce, json.dumps(self.data).encode(), head)
        beside = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(head + nonce + sealed)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self.path)

    def refuse_as_sign_in(self, passphrase: str) -> None:
        """What is sent to the service must not open this file."""
        demand(passphrase != self._passphrase, "STATE", "sign in with another passphrase than that of the file")


def _lock(path: Path) -> int:
    """One process at a time: two would use one refresh token twice, and the service would end the session."""
    lock = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    return lock
