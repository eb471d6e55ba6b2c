"""The log (docs/protocol.md, section 8): leaves, the tree of RFC 9162, signed notes and checkpoints of C2SP."""

import base64
import binascii
import re
import struct
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

from .refused import Refused, demand
from .wire import Json, decode, digest, fields, read, sha256

ED25519, MLDSA44 = 0x01, 0x06
LEAF = "v log index at kind actor compartment seq subject digest private".split()


def read_leaf(text: str, log: str) -> Json:
    demand(len(text.encode()) <= 65_535, "LEAF", "a leaf has at most 65,535 bytes")
    leaf = fields(read(text), "v log index at kind actor subject", "compartment seq digest private")
    demand(list(leaf) == [name for name in LEAF if name in leaf], "LEAF", "the keys of a leaf have one order")
    demand(leaf["v"] == 1 and leaf["log"] == log, "LEAF", "a leaf of another log")
    if leaf["actor"].keys() != {"server"}:
        fields(leaf["actor"], "person organization device")
    return leaf


def leaf_hash(text: str) -> bytes:
    return sha256(b"\x00" + text.encode())


def _node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right)


def root_from_inclusion(leaf: bytes, index: int, size: int, proof: list[bytes]) -> bytes | None:
    """RFC 9162, section 2.1.3.2: the root that the proof leads to."""
    if not 0 <= index < size:
        return None
    fn, sn, result = index, size - 1, leaf
    for sibling in proof:
        if sn == 0:
            return None
        if fn & 1 or fn == sn:
            result = _node(sibling, result)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            result = _node(result, sibling)
        fn, sn = fn >> 1, sn >> 1
    return result if sn == 0 else None


def is_consistent(old: "Checkpoint", new: "Checkpoint", proof: list[bytes]) -> bool:
    """RFC 9162, section 2.1.4.2: the newer tree holds the older one unchanged."""
    if old.size > new.size or old.size == 0:
        return False
    if old.size == new.size:
        return old.root == new.root and not proof
    path = [old.root, *proof] if old.size & (old.size - 1) == 0 else list(proof)
    if not path:
        return False
    fn, sn = old.size - 1, new.size - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = path[0]
    for sibling in path[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            fr, sr = _node(sibling, fr), _node(sibling, sr)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = _node(sr, sibling)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and fr == old.root and sr == new.root


@dataclass(frozen=True)
class Checkpoint:
    origin: str
    size: int
    root: bytes


def _key_id(name: str, typed: bytes) -> bytes:
    return sha256(name.encode() + b"\n" + typed)[:4]


class LogKeys:
    """The verifier keys of a service, pinned when it was first met. Each log has them under its own name."""

    def __init__(self, host: str, verifier_keys: list[str]):
        self._host = host
        self._typed: dict[int, bytes] = {}
        for vkey in verifier_keys:
            name, key_id, data = vkey.split("+", 2)
            typed = base64.b64decode(data, validate=True)
            demand(_key_id(name, typed).hex() == key_id, "LOG_KEY", "the id of a verifier key is not its own")
            self._typed[typed[0]] = typed

    def open(self, note: str, log: str, kinds: tuple[int, ...]) -> Checkpoint:
        """A checkpoint of this log, with a good signature of each of these kinds."""
        origin = f"{self._host}/logs/{log}"
        text, separator, lines = note.partition("\n\n")
        text += "\n"
        parts = text.split("\n")
        demand(separator and len(parts) == 4 and parts[0] == origin, "CHECKPOINT", "this is no checkpoint of this log")
        demand(re.fullmatch(r"0|[1-9]\d{0,15}", parts[1]), "CHECKPOINT", "a checkpoint states a size")
        size, root = int(parts[1]), _base64(parts[2])
        signed = {self._verify(line, origin, text, size, root) for line in lines.splitlines()}
        demand(set(kinds) <= signed, "CHECKPOINT_SIGNATURE", "a signature that is demanded is missing")
        return Checkpoint(origin, size, root)

    def _verify(self, line: str, origin: str, text: str, size: int, root: bytes) -> int | None:
        demand(re.fullmatch("\u2014 \\S+ \\S+", line), "CHECKPOINT", "this is no signature line")
        _, name, data = line.split(" ")
        signature = _base64(data)
        typed = next((key for key in self._typed.values() if _key_id(origin, key) == signature[:4]), None)
        if name != origin or typed is None:
            return None
        kind, key, signature = typed[0], typed[1:], signature[4:]
        try:
            if kind == ED25519:
                Ed25519PublicKey.from_public_bytes(key).verify(signature, text.encode())
            else:
                demand(signature[:8] == bytes(8), "CHECKPOINT_SIGNATURE", "a log states no time")
                MLDSA44PublicKey.from_public_bytes(key).verify(signature[8:], _cosigned(origin, size, root))
        except InvalidSignature as error:
            raise Refused("CHECKPOINT_SIGNATURE", "a checkpoint is not signed by the key that was pinned") from error
        return kind


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise Refused("CHECKPOINT", "a checkpoint with something that is not base64") from error


def _cosigned(origin: str, size: int, root: bytes) -> bytes:
    """`cosigned_message` of C2SP tlog-cosignature, by the log itself and without a time."""
    name = struct.pack("B", len(origin)) + origin.encode()
    return b"subtree/v1\n\0" + name + struct.pack(">Q", 0) + name + struct.pack(">QQ", 0, size) + root


def check_receipt(receipt: Json, statement: str, message: str, log: str, keys: LogKeys) -> Checkpoint:
    """That a log holds one's own message: its leaf, hashed here, is proven in a tree that the log signed."""
    try:
        fields(receipt, "leaf index proof checkpoint")
        leaf = read_leaf(receipt["leaf"], log)
        proof = [decode_hash(sibling) for sibling in receipt["proof"]]
    except Refused as error:
        raise Refused("RECEIPT_LEAF", f"the leaf of a receipt cannot be read ({error})") from error
    fits = leaf["index"] == receipt["index"] and leaf["kind"].startswith("message.")
    demand(fits and leaf["subject"] == message, "RECEIPT_LEAF", "a receipt for something else")
    demand(leaf.get("digest") == digest(statement), "RECEIPT_DIGEST", "a receipt for another statement")
    checkpoint = keys.open(receipt["checkpoint"], log, (ED25519,))
    root = root_from_inclusion(leaf_hash(receipt["leaf"]), leaf["index"], checkpoint.size, proof)
    demand(root == checkpoint.root, "RECEIPT_PROOF", "the proof of a receipt does not lead to its checkpoint")
    return checkpoint


def decode_hash(text: str) -> bytes:
    data = decode(text)
    demand(len(data) == 32, "SHAPE", "a hash has 32 bytes")
    return data
