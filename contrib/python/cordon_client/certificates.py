"""Certificates up to the pinned root, and in the directory log (docs/protocol.md, sections 2 and 8)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from . import log
from .refused import Refused, demand
from .session import Session
from .wire import Json, Statement, decode, encode, fields, parse_time, read_statement, thumbprint

LONGEST_CHAIN = 16
PROOFS_AT_ONCE = 500
# By how much the clock of who signs and that of the service may differ.
CLOCK_DIFFERENCE = timedelta(minutes=5)
# ML-KEM-768: 768 coefficients of 12 bits and a seed, then the X25519 key.
MODULUS, KEM_COEFFICIENTS, KEM_BYTES = 3329, 1152, 1184
# u-coordinates of the points of small order on Curve25519 (RFC 7748, section 6.1).
SMALL_ORDER = {
    bytes.fromhex(point)
    for point in (
        "00" * 32,
        "01" + "00" * 31,
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ec" + "ff" * 30 + "7f",
        "ed" + "ff" * 30 + "7f",
        "ee" + "ff" * 30 + "7f",
    )
}


@dataclass(frozen=True)
class Certificate:
    statement: Statement
    device: str
    sign: Json
    seal: Json
    person: str
    organization: str
    tier: str
    issued_at: datetime

    @property
    def hash(self) -> str:
        return self.statement.hash

    @property
    def issuer(self) -> str:
        return self.statement.signer


def read_certificate(jws: str) -> Certificate:
    statement = read_statement("cordon-device+jws", jws, crt=False)
    said = fields(statement.payload, "v device person organization tier issuedAt expiresAt")
    keys = fields(said["device"], "sign seal")
    sign, seal = fields(keys["sign"], "kty crv x"), fields(keys["seal"], "kty alg pub")
    demand(sign["kty"] == "OKP" and sign["crv"] == "Ed25519", "SHAPE", "a device signs with Ed25519")
    demand(seal["kty"] == "AKP" and seal["alg"] == "HPKE-10", "SHAPE", "a device is sealed to by HPKE-10")
    demand(parse_time(said["issuedAt"]) < parse_time(said["expiresAt"]), "SHAPE", "a certificate ends after it begins")
    who = said["person"], said["organization"], said["tier"], parse_time(said["issuedAt"])
    return Certificate(statement, thumbprint(sign), sign, seal, *who)


def is_usable(seal: Json) -> bool:
    """Whether something can be sealed to a key: the modulus check of FIPS 203, section 7.2, and no X25519 point of small order."""
    key = decode(seal["pub"])
    kem, point = key[:KEM_COEFFICIENTS], bytearray(key[KEM_BYTES:])
    for a, b, c in zip(kem[0::3], kem[1::3], kem[2::3], strict=True):
        if a | (b & 0x0F) << 8 >= MODULUS or b >> 4 | c << 4 >= MODULUS:
            return False
    point[31] &= 0x7F
    return bytes(point) not in SMALL_ORDER


class Trust:
    """The pinned root, and the certificates that were verified up to it."""

    def __init__(self, root: str):
        self.root = root
        self._verified: dict[str, Certificate] = {}
        self._by_device: dict[str, Certificate] = {}

    def believe(self, jws: str, chain: list[str]) -> Certificate:
        """Verifies a certificate; `chain` has the ones above it, as far as they are not known yet."""
        offered = {known.device: known for known in map(read_certificate, chain)}
        certificate = read_certificate(jws)
        path = [certificate]
        while path[-1].hash not in self._verified and path[-1].device != self.root:
            demand(len(path) < LONGEST_CHAIN, "CERTIFICATE_CHAIN", "a chain of certificates does not end")
            above = self.of_device(path[-1].issuer) or offered.get(path[-1].issuer)
            if above is None:
                raise Refused("CERTIFICATE_CHAIN", "a certificate does not lead to the pinned root")
            path.append(above)
        if path[-1].hash not in self._verified:
            path.append(path[-1])  # the root, which issued its own
        for below, above in pairwise(path):
            below.statement.verify(above.sign)
            demand(self._may_issue(above, below), "CERTIFICATE_CHAIN", "a device issued what it may not issue")
        self._verified |= {known.hash: known for known in path}
        self._by_device |= {known.device: known for known in path}
        return certificate

    def of_device(self, device: str) -> Certificate | None:
        return self._by_device.get(device)

    def _may_issue(self, issuer: Certificate, subject: Certificate) -> bool:
        if issuer.device == self.root:
            return True
        if issuer.tier == "service":
            return False
        same = issuer.person == subject.person and issuer.organization == subject.organization
        if same and issuer.tier == subject.tier:
            return True
        if issuer.tier == "administrator":
            return subject.tier in ("ncp", "service", "administrator", "auditor")
        within = issuer.organization == subject.organization
        return issuer.tier == "ncp" and within and subject.tier not in ("administrator", "auditor")


def prove(session: Session, certificates: list[Certificate]) -> None:
    """Demands proof that the directory log holds each of these certifications. What was proven once stays so."""
    data = session.state.data
    wanted = {known.hash: known for known in certificates if known.hash not in data["proven"]}
    keys = log.LogKeys(data["logHost"], data["logKeys"])
    for start in range(0, len(wanted), PROOFS_AT_ONCE):
        asked = list(wanted)[start : start + PROOFS_AT_ONCE]
        before = remembered(session, data["directory"])
        seen = {} if before is None else {"seen": before.size}
        answer = session.call("POST", "/v1/certificates/proofs", {"certificates": asked} | seen)
        checkpoint = keys.open(answer["checkpoint"], data["directory"], (log.ED25519, log.MLDSA44))
        remember(session, data["directory"], checkpoint, answer.get("consistency"))
        for found in answer["proofs"]:
            certificate = wanted.get(found["certificate"])
            leaf = log.read_leaf(found["leaf"], data["directory"])
            says = certificate and leaf["kind"] == "device.certified" and leaf["subject"] == certificate.device
            demand(says and leaf.get("digest") == found["certificate"], "DEVICE_UNPROVEN", "a proof of something else")
            proof = [log.decode_hash(sibling) for sibling in found["proof"]]
            root = log.root_from_inclusion(log.leaf_hash(found["leaf"]), leaf["index"], checkpoint.size, proof)
            demand(root == checkpoint.root, "DEVICE_UNPROVEN", "the directory log does not hold a device")
            data["proven"].append(found["certificate"])
    demand(set(wanted) <= set(data["proven"]), "DEVICE_UNPROVEN", "the directory log does not hold a device")
    session.state.save()


def remembered(session: Session, log_id: str) -> log.Checkpoint | None:
    kept = session.state.data["checkpoints"].get(log_id)
    return None if kept is None else log.Checkpoint(log_id, kept["size"], log.decode_hash(kept["root"]))


def remember(session: Session, log_id: str, newer: log.Checkpoint, proof: list[str] | None = None) -> None:
    """Keeps the newest checkpoint of a log, once it is proven that the log only grew since the one that was kept."""
    older = remembered(session, log_id)
    if older is not None and older.size > newer.size:
        return
    if older is not None:
        siblings = [log.decode_hash(sibling) for sibling in proof or []]
        demand(log.is_consistent(older, newer, siblings), "CONSISTENCY", "a log is not the one that was seen before")
    session.state.data["checkpoints"][log_id] = {"size": newer.size, "root": encode(newer.root)}
