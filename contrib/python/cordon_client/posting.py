"""Posting to an operation (docs/protocol.md, sections 6 and 7)."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass

from . import log
from .certificates import prove, remember, remembered
from .messages import EXTRACTED, canonical, commitment_of, extract_of, padded
from .reading import Reading, consistency, read
from .refused import Refused, demand
from .rules import require
from .session import Session
from .wire import Json, body_header, digest, encode, new_id, now, seal_body, seal_to, sha256, write

SENT_AGAIN = {"UNREACHABLE", "ANSWER", "DATABASE_UNAVAILABLE", "OVERLOADED", "TOO_MANY_REQUESTS", "UNAUTHENTICATED"}
# Somebody else came first: what is said is looked at again, then sealed and signed anew.
LOOKED_AGAIN = {"EPOCH_STALE", "EPOCH_UNKNOWN", "EPOCH_NUMBER", "EPOCH_RECIPIENTS", "MEMBERS_MOVED", "MEMBERS_BEHIND"}
ATTEMPTS = 3


@dataclass(frozen=True)
class Draft:
    """What a person wants to say."""

    form: str
    fields: Json
    subject: str | None = None
    compartment: str | None = None
    thread: str | None = None
    refers_to: Json | None = None
    tlp: str = "AMBER"
    precedence: str = "routine"


def post(session: Session, operation: str, draft: Draft) -> Json:
    """Seals, signs and sends a message, and answers its receipt once that is proven."""
    for _ in range(ATTEMPTS - 1):
        try:
            return _post_once(session, operation, draft)
        except Refused as error:
            if error.reason not in LOOKED_AGAIN:
                raise
    return _post_once(session, operation, draft)


def _post_once(session: Session, operation: str, draft: Draft) -> Json:
    reading = read(session, operation)
    demand(not reading.alarms, "ALARM", "; ".join(reading.alarms))
    demand(draft.form in EXTRACTED, "FORM", f"no such form: {draft.form}")
    compartment = draft.compartment or operation
    epoch, key = _sealing_key(session, reading, compartment)
    id, message = _compose(session, reading, draft, compartment, epoch, key)
    session.state.data["pending"][id] = {"operation": operation, "message": message}
    session.state.save()
    return send_pending(session, id)


def pending_of(session: Session) -> Iterator[str]:
    yield from list(session.state.data["pending"])


def send_pending(session: Session, id: str) -> Json:
    """Sends, or sends again as it is, what has no receipt yet: without one that is proven it counts as not sent."""
    data = session.state.data
    waiting = data["pending"][id]
    operation, sent = waiting["operation"], waiting["message"]
    try:
        receipt = session.call("POST", f"/v1/operations/{operation}/messages", sent)["receipt"]
    except Refused as error:
        if error.reason not in SENT_AGAIN:
            del data["pending"][id]
            session.state.save()
        raise
    keys = log.LogKeys(data["logHost"], data["logKeys"])
    checkpoint = log.check_receipt(receipt, sent["statement"], id, operation, keys)
    older = remembered(session, operation)
    proof: list[bytes] = []
    if older is not None and older.size < checkpoint.size:
        proof = consistency(session, operation, older.size, checkpoint.size)
    remember(session, operation, checkpoint, [encode(sibling) for sibling in proof])
    data["receipts"][id] = receipt
    del data["pending"][id]
    session.state.save()
    return {"id": id, "index": receipt["index"], "receipt": receipt}


def _sealing_key(session: Session, reading: Reading, compartment: str) -> tuple[int, bytes]:
    """The key of the current epoch; where there is none or it is stale, the next one is opened."""
    view, state = reading.view, reading.view.compartment(compartment)
    demand(view.is_in(view.person, compartment), "NOT_FOUND", "you are not in this compartment")
    recipients = view.recipients(compartment)
    prove(session, [view.devices[device] for device in recipients])
    number = len(state.epochs)
    if number > 0 and not state.stale:
        key = reading.keys.get((compartment, number))
        if key is None:
            raise Refused("NO_KEY", "nobody has granted the key of the current epoch yet")
        return number, key
    require(view.members[view.person], "epoch.open", view.state)
    key = secrets.token_bytes(32)
    statement = {
        "operation": reading.operation,
        "compartment": compartment,
        "epoch": number + 1,
        "commitment": commitment_of(key),
        "recipients": recipients,
        "members": view.heads_of(compartment),
        "reason": state.stale or "first",
        "openedAt": now(),
    }
    jwk = write({"kty": "oct", "k": encode(key), "kid": f"{compartment}#{number + 1}"}).encode()
    grants = []
    for device in recipients:
        header = {"typ": "cordon-grant+jwe", "kid": device, "cmp": compartment, "epo": number + 1}
        grants.append({"device": device, "grant": seal_to(view.devices[device].seal, header, jwk)})
    own = view.devices[session.device.id].hash
    signed = session.device.state("cordon-epoch+jws", statement, own)
    session.call("POST", f"/v1/operations/{reading.operation}/epochs", {"statement": signed, "grants": grants})
    return number + 1, key


def _compose(
    session: Session, reading: Reading, draft: Draft, compartment: str, epoch: int, key: bytes
) -> tuple[str, Json]:
    view, device, checkpoint = reading.view, session.device, reading.checkpoint
    if checkpoint is None:
        raise Refused("CHECKPOINT", "the log was not read to its end")
    id = new_id()
    content = {"form": draft.form, "fields": draft.fields, "attachments": []}
    content |= {} if draft.subject is None else {"subject": draft.subject}
    body = seal_body(body_header(f"{compartment}#{epoch}", id, device.id), padded(content), key)
    withdraws = (draft.refers_to or {}).get("as") == "withdrawal"
    extract = None if withdraws else extract_of(draft.form, draft.fields)
    salt = secrets.token_bytes(32)
    clear = {} if extract is None else {"extract": canonical(extract), "salt": encode(salt)}
    statement = {
        "id": id,
        "operation": reading.operation,
        "compartment": compartment,
        "thread": draft.thread or new_id(),
        "epoch": epoch,
        "form": {"id": draft.form, "version": 1},
        "precedence": draft.precedence,
        "handling": {"tlp": draft.tlp},
        "sentAt": now(),
        "seen": {"size": checkpoint.size, "root": encode(checkpoint.root)},
        "body": {"sha256": digest(body), "size": len(body)},
        "attachments": [],
        "members": view.heads_of(compartment),
    }
    if draft.refers_to is not None:
        statement["refersTo"] = draft.refers_to
    if clear:
        statement["extract"] = {"sha256": encode(sha256(salt + clear["extract"].encode()))}
    if view.state == "rehearsal":
        statement["exercise"] = True
    signed = device.state("cordon-message+jws", statement, view.devices[device.id].hash)
    return id, {"statement": signed, "body": body} | clear
