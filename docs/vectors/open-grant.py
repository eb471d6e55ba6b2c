"""Opens the grant of grant.json with the package `cryptography` (48 or newer) and prints what is inside.

    python3 open-grant.py < grant.json

Its public Suite has no place for the additional data that a grant is bound to, so this calls the function beneath it.
"""

import base64
import hashlib
import json
import sys

from cryptography.hazmat.bindings._rust import openssl
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, MLKEM768X25519PrivateKey, Suite


def decode(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


vector = json.load(sys.stdin)
# The private key is a seed of 32 bytes; SHAKE256 makes both keys of it.
seeds = hashlib.shake_256(decode(vector["privateKey"])).digest(96)
key = MLKEM768X25519PrivateKey(
    MLKEM768PrivateKey.from_seed_bytes(seeds[:64]), X25519PrivateKey.from_private_bytes(seeds[64:])
)
# header . encapsulated secret . (no IV) . ciphertext . (no tag)
header, secret, _, ciphertext, _ = vector["grant"].split(".")
plaintext = openssl.hpke._decrypt_with_aad(
    Suite(KEM.MLKEM768_X25519, KDF.SHAKE256, AEAD.AES_256_GCM),
    decode(secret) + decode(ciphertext),
    key,
    aad=header.encode(),
)
sys.stdout.write(plaintext.decode())
