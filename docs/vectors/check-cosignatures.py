"""Checks cosignatures.json with the package `cryptography` (48 or newer) alone and prints what each line is.

    python3 check-cosignatures.py < cosignatures.json

Written from signed-note and tlog-cosignature of C2SP.
"""

import base64
import hashlib
import json
import struct
import sys

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

vector = json.load(sys.stdin)
text, _, lines = vector["final"].partition("\n\n")
text += "\n"
origin, size, root = text.splitlines()
keys = {}
for vkey in vector["verifierKeys"]["log"] + vector["verifierKeys"]["witness"]:
    name, key_id, data = vkey.split("+", 2)
    typed = base64.b64decode(data, validate=True)
    computed = hashlib.sha256(name.encode() + b"\n" + typed).digest()[:4]
    assert computed.hex() == key_id, "the id of a key is not its own"
    keys[name, computed] = typed


def opaque(value):
    return struct.pack("B", len(value)) + value


for line in lines.splitlines():
    dash, name, data = line.split(" ")
    assert dash == "\u2014"
    signature = base64.b64decode(data, validate=True)
    typed = keys[name, signature[:4]]
    kind, raw, signature = typed[0], typed[1:], signature[4:]
    if kind == 0x01:
        Ed25519PublicKey.from_public_bytes(raw).verify(signature, text.encode())
        print(f"{name} Ed25519")
        continue
    (timestamp,) = struct.unpack(">Q", signature[:8])
    if kind == 0x04:
        message = f"cosignature/v1\ntime {timestamp}\n{text}".encode()
        Ed25519PublicKey.from_public_bytes(raw).verify(signature[8:], message)
        print(f"{name} Ed25519 cosignature {timestamp}")
        continue
    assert kind == 0x06
    message = (
        b"subtree/v1\n\0"
        + opaque(name.encode())
        + struct.pack(">Q", timestamp)
        + opaque(origin.encode())
        + struct.pack(">QQ", 0, int(size))
        + base64.b64decode(root)
    )
    MLDSA44PublicKey.from_public_bytes(raw).verify(signature[8:], message)
    print(f"{name} ML-DSA-44 cosignature {timestamp}")
