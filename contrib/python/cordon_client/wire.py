"""Objects that travel (docs/protocol.md, sections 1 and 2): encodings, statements, what is sealed to a device."""

import base64
import hashlib
import json
import re
import secrets
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.bindings._rust import openssl
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)
from joserfc import jwe, jws
from joserfc.errors import JoseError
from joserfc.jwk import OctKey, OKPKey
from joserfc.registry import HeaderParameter

from .refused import Refused, demand

Json = dict[str, Any]

MLKEM768_PUBLIC_BYTES = 1184
ENCAPSULATED_BYTES = 1120
LARGEST_EXACT_INTEGER = 2**53 - 1


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    demand(isinstance(text, str) and re.fullmatch(r"[A-Za-z0-9_-]*", text), "ENCODING", "this is not base64url")
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    demand(encode(data) == text, "ENCODING", "base64url with stray bits at its end")
    return data


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def digest(text: str) -> str:
    return encode(sha256(text.encode()))


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_time(text: str) -> datetime:
    """A time of the years 1900 to 2199, in UTC with milliseconds."""
    form = r"(?:19|20|21)[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z"
    demand(re.fullmatch(form, text), "SHAPE", f"{text} is not a time")
    return datetime.fromisoformat(text)


def new_id() -> str:
    """A UUID of version 7 (RFC 9562)."""
    value = (time.time_ns() // 1_000_000 << 80) | secrets.randbits(80)
    value = value & ~(0xF << 76) | (0x7 << 76)
    return str(uuid.UUID(int=value & ~(0x3 << 62) | (0x2 << 62)))


def write(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def read(text: str) -> Any:
    """JSON as it must be written: no white space, no name twice, whole numbers only."""

    def distinct(pairs: list[tuple[str, Any]]) -> Json:
        demand(len({name for name, _ in pairs}) == len(pairs), "JSON", "a name stands twice")
        return dict(pairs)

    def whole(number: str) -> int:
        demand(abs(int(number)) <= LARGEST_EXACT_INTEGER, "JSON", f"{number} is too large to be exact")
        return int(number)

    def no_fraction(number: str) -> Any:
        raise Refused("JSON", f"{number} is not a whole number")

    try:
        value = json.loads(text, object_pairs_hook=distinct, parse_int=whole, parse_float=no_fraction)
    except ValueError as error:
        raise Refused("JSON", str(error)) from error
    demand(write(value) == text, "JSON", "JSON is written in another way than it must be")
    return value


def fields(value: Any, required: str, optional: str = "") -> Json:
    """An object with exactly these members."""
    names = set(required.split())
    if not isinstance(value, dict) or not names <= value.keys():
        raise Refused("SHAPE", f"an object lacks one of: {required}")
    demand(value.keys() <= names | set(optional.split()), "SHAPE", "an object has a member that nobody named")
    return value


# --- Statements -------------------------------------------------------------------------------------------------------


class _Statements(jws.JWSRegistry):
    max_payload_length = 256 * 1024


_statements = _Statements({"crt": HeaderParameter("Certificate of the signer", "str")}, ["Ed25519"])


@dataclass(frozen=True)
class Statement:
    """A statement that was read; its signature is not checked before `verify`."""

    jws: str
    hash: str
    signer: str
    crt: str | None
    payload: Json

    def verify(self, sign: Json) -> None:
        try:
            jws.deserialize_compact(self.jws, OKPKey.import_key(sign), registry=_statements)
        except (JoseError, ValueError) as error:
            raise Refused("SIGNATURE", f"a statement is not signed by {self.signer}") from error


def header_of(token: str, parts: int) -> Any:
    pieces = token.split(".")
    demand(len(pieces) == parts, "SHAPE", f"a token has {parts} parts")
    try:
        return read(decode(pieces[0]).decode())
    except UnicodeDecodeError as error:
        raise Refused("JSON", "a header is not UTF-8") from error


def read_statement(typ: str, token: str, crt: bool, versions: tuple[int, ...] = (1,)) -> Statement:
    header = fields(header_of(token, 3), "alg typ kid crt" if crt else "alg typ kid")
    demand(header["alg"] == "Ed25519" and header["typ"] == typ, "SHAPE", f"this is no {typ}")
    payload = read(decode(token.split(".")[1]).decode("utf-8", "surrogatepass"))
    demand(isinstance(payload, dict) and payload.get("v") in versions, "SHAPE", f"a {typ} of an unknown version")
    return Statement(token, digest(token), header["kid"], header.get("crt"), payload)


# --- Devices ----------------------------------------------------------------------------------------------------------


def thumbprint(sign: Json) -> str:
    return OKPKey.import_key({name: sign[name] for name in ("kty", "crv", "x")}).thumbprint()


def new_signing_key() -> Json:
    return OKPKey.generate_key("Ed25519").as_dict(private=True)


def public_part(sign: Json) -> Json:
    return {"kty": "OKP", "crv": "Ed25519", "x": sign["x"]}


_suite = Suite(KEM.MLKEM768_X25519, KDF.SHAKE256, AEAD.AES_256_GCM)


def _seal_key(seed: bytes) -> MLKEM768X25519PrivateKey:
    """The private key is a seed of 32 bytes; SHAKE256 makes both keys of it."""
    seeds = hashlib.shake_256(seed).digest(96)
    return MLKEM768X25519PrivateKey(
        MLKEM768PrivateKey.from_seed_bytes(seeds[:64]), X25519PrivateKey.from_private_bytes(seeds[64:])
    )


def _seal_public(seed: bytes) -> bytes:
    seeds = hashlib.shake_256(seed).digest(96)
    kem = MLKEM768PrivateKey.from_seed_bytes(seeds[:64]).public_key()
    return kem.public_bytes_raw() + X25519PrivateKey.from_private_bytes(seeds[64:]).public_key().public_bytes_raw()


class Device:
    """A device with both its private keys."""

    def __init__(self, sign: Json, seed: bytes):
        self.id = thumbprint(sign)
        self.public = {
            "sign": public_part(sign),
            "seal": {"kty": "AKP", "alg": "HPKE-10", "pub": encode(_seal_public(seed))},
        }
        self._sign = OKPKey.import_key(sign)
        self._seal = _seal_key(seed)

    def state(self, typ: str, payload: Json, crt: str | None = None) -> str:
        header = {"alg": "Ed25519", "typ": typ, "kid": self.id} | ({} if crt is None else {"crt": crt})
        return jws.serialize_compact(header, write({"v": 1} | payload), self._sign, registry=_statements)

    def open(self, token: str, expected: Json) -> bytes:
        """Opens what was sealed to this device, if its header says exactly what is expected."""
        header = header_of(token, 5)
        demand(
            header == {"alg": "HPKE-10", "kid": self.id} | expected,
            "SEALED_HEADER",
            "this was sealed for another purpose",
        )
        head, secret, iv, ciphertext, tag = token.split(".")
        demand(iv == tag == "", "SHAPE", "HPKE in a JWE has neither IV nor tag")
        demand(len(decode(secret)) == ENCAPSULATED_BYTES, "SHAPE", "an encapsulated secret has 1,120 bytes")
        try:
            return openssl.hpke._decrypt_with_aad(
                _suite, decode(secret) + decode(ciphertext), self._seal, aad=head.encode()
            )
        except (InvalidTag, ValueError) as error:
            raise Refused("SEALED", "this does not open with the key of this device") from error


def seal_to(seal: Json, header: Json, plaintext: bytes) -> str:
    public = decode(seal["pub"])
    key = MLKEM768X25519PublicKey(
        MLKEM768PublicKey.from_public_bytes(public[:MLKEM768_PUBLIC_BYTES]),
        X25519PublicKey.from_public_bytes(public[MLKEM768_PUBLIC_BYTES:]),
    )
    head = encode(write({"alg": "HPKE-10"} | header).encode())
    sealed = openssl.hpke._encrypt_with_aad(_suite, plaintext, key, aad=head.encode())
    return f"{head}.{encode(sealed[:ENCAPSULATED_BYTES])}..{encode(sealed[ENCAPSULATED_BYTES:])}."


# --- Bodies -----------------------------------------------------------------------------------------------------------


class _Bodies(jwe.JWERegistry):
    max_ciphertext_length = 256 * 1024


_bodies = _Bodies(
    {name: HeaderParameter(about, "str") for name, about in (("mid", "Message"), ("dev", "Sending device"))},
    ["dir", "A256GCM"],
)


def body_header(kid: str, message: str, device: str) -> Json:
    return {"alg": "dir", "enc": "A256GCM", "typ": "cordon-body+jwe", "kid": kid, "mid": message, "dev": device}


def seal_body(header: Json, plaintext: bytes, key: bytes) -> str:
    return jwe.encrypt_compact(header, plaintext, OctKey.import_key(key), registry=_bodies)


def open_body(token: str, header: Json, key: bytes) -> Any:
    demand(header_of(token, 5) == header, "BODY_HEADER", "the header of a body does not match its statement")
    try:
        plaintext = jwe.decrypt_compact(token, OctKey.import_key(key), registry=_bodies).plaintext
        return json.loads(plaintext or b"")
    except (JoseError, ValueError) as error:
        raise Refused("BODY", "a body does not open with the key of its epoch") from error
