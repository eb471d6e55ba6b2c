"""Reading an operation over the live channel (docs/protocol.md, sections 6, 7 and 9)."""

import json
from dataclasses import dataclass, field
from typing import Any

from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from . import log
from .certificates import Certificate, Trust, prove, remember, remembered
from .members import View
from .messages import Message, open_grant, open_message, receive
from .refused import Refused, demand
from .session import Session
from .wire import Json, encode, write

PATIENCE = 30
LARGEST_FRAME = 2**20


def own_certificate(session: Session) -> Certificate:
    """This device's certificate, verified up to the pinned root."""
    me = session.call("GET", "/v1/me")
    demand(me["certificate"], "UNCERTIFIED", "nobody has certified this device yet: its inviter's client does")
    certificate = Trust(session.state.data["root"]).believe(me["certificate"], me["chain"])
    data = session.state.data
    own = certificate.person == data["person"] and certificate.organization == data["organization"]
    demand(own and certificate.tier == data["tier"], "CERTIFICATE", "a certificate for somebody else")
    demand(
        {"sign": certificate.sign, "seal": certificate.seal} == session.device.public, "CERTIFICATE", "for other keys"
    )
    return certificate


@dataclass
class Reading:
    """An operation as the log told it up to `checkpoint`. Where there is an alarm nothing is sealed."""

    operation: str
    view: View
    checkpoint: log.Checkpoint | None = None
    messages: list[Message] = field(default_factory=list)
    keys: dict[tuple[str, int], bytes] = field(default_factory=dict)
    alarms: list[str] = field(default_factory=list)
    threads: set[str] = field(default_factory=set)
    grants: dict[tuple[str, int], list[str]] = field(default_factory=dict)
    bad_grants: dict[tuple[str, int], str] = field(default_factory=dict)

    def offer(self, compartment: str, epoch: int, grant: str) -> None:
        self.grants.setdefault((compartment, epoch), []).append(grant)


def read(session: Session, operation: str) -> Reading:
    """Reads everything from the beginning, believes what fits, opens what it has keys for."""
    own = own_certificate(session)
    view = View(operation, Trust(session.state.data["root"]), own.person)
    reading = Reading(operation, view)
    ticket = session.call("POST", "/v1/live-tickets", {})["ticket"]
    protocols = [Subprotocol("cordon.v1"), Subprotocol(f"ticket.{ticket}")]
    url = session.url.replace("http", "ws", 1) + "/v1/live"
    limits: dict[str, Any] = {"max_size": LARGEST_FRAME, "open_timeout": PATIENCE, "close_timeout": 1}
    try:
        with connect(url, subprotocols=protocols, compression=None, **limits) as socket:
            _converse(session, reading, socket)
    except (WebSocketException, OSError) as error:
        raise Refused("LIVE", str(error)) from error
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise Refused("SHAPE", f"the service said something of another shape ({error!r})") from error
    _check_seen(session, reading)
    known = session.state.data["receipts"].keys() | session.state.data["pending"].keys()
    strange = [m.id for m in reading.messages if m.device == session.device.id and m.id not in known]
    reading.alarms += [f"OWN_DEVICE: this device did not send {id}" for id in strange] + view.withheld()
    session.state.save()
    return reading


def _converse(session: Session, reading: Reading, socket: ClientConnection) -> None:
    def say(type: str, **what: Any) -> None:
        socket.send(json.dumps({"type": type} | what))

    demand(socket.subprotocol == "cordon.v1", "LIVE", "the service chose another sub-protocol")
    seen = remembered(session, reading.operation)
    told = {} if seen is None else {"seen": {"size": seen.size, "root": encode(seen.root)}}
    say("subscribe", operation=reading.operation, after=-1, **told)
    while not _take(session, reading, json.loads(socket.recv(PATIENCE))):
        pass
    _fetch_grants(session, reading)
    _open_messages(session, reading)
    for compartment, epoch in sorted(reading.bad_grants):
        say("grant-bad", operation=reading.operation, compartment=compartment, epoch=epoch)
    say("acknowledge", operation=reading.operation, upTo=reading.view.position)
    say("ping")
    while json.loads(socket.recv(PATIENCE))["type"] != "pong":
        pass


def _take(session: Session, reading: Reading, frame: Json) -> bool:
    """Believes one frame, or refuses it; true when the log was read to its end."""
    demand(frame["type"] not in ("ended", "closing", "refused"), "LIVE", write(frame))
    if frame.get("operation") != reading.operation:
        return False
    if frame["type"] == "entry" and frame["index"] > reading.view.position:
        _take_entry(reading, frame)
    elif frame["type"] == "granted":
        for given in frame["grants"]:
            reading.offer(frame["compartment"], given["epoch"], given["grant"])
    elif frame["type"] == "caught-up":
        data = session.state.data
        keys = log.LogKeys(data["logHost"], data["logKeys"])
        reading.checkpoint = keys.open(frame["checkpoint"], reading.operation, (log.ED25519,))
        demand(reading.checkpoint.size > reading.view.position, "CHECKPOINT", "a checkpoint without the entries shown")
        remember(session, reading.operation, reading.checkpoint, frame.get("consistency"))
        return True
    return False


def _take_entry(reading: Reading, frame: Json) -> None:
    leaf = log.read_leaf(frame["leaf"], reading.operation)
    if leaf["kind"].startswith("message."):
        try:
            reading.messages.append(receive(reading.view, reading.threads, leaf, frame))
        except Refused as error:
            reading.alarms.append(f"entry {leaf['index']}: {error}")
    if leaf["kind"] == "epoch.opened" and "grant" in frame:
        compartment, _, epoch = leaf["subject"].partition("#")
        reading.offer(compartment, int(epoch), frame["grant"])
    reading.view.apply(leaf, frame)


def _fetch_grants(session: Session, reading: Reading) -> None:
    """The keys for this device, each checked against what its epoch committed to."""
    for given in session.call("GET", f"/v1/operations/{reading.operation}/grants")["grants"]:
        reading.offer(given["compartment"], given["epoch"], given["grant"])
    for (compartment, epoch), grants in sorted(reading.grants.items()):
        known = reading.view.compartments.get(compartment)
        if known is None or not 0 < epoch <= len(known.epochs):
            continue
        for grant in grants:
            commitment = known.epochs[epoch - 1].commitment
            try:
                reading.keys[compartment, epoch] = open_grant(session.device, compartment, epoch, commitment, grant)
                reading.bad_grants.pop((compartment, epoch), None)
                break
            except Refused as error:
                reading.bad_grants[compartment, epoch] = str(error)


def _open_messages(session: Session, reading: Reading) -> None:
    try:
        prove(session, list({message.sender.hash: message.sender for message in reading.messages}.values()))
    except Refused as error:
        if error.reason != "DEVICE_UNPROVEN":
            raise
    for message in reading.messages:
        if message.refused is not None:
            continue
        epoch = message.statement["compartment"], message.statement["epoch"]
        key = reading.keys.get(epoch)
        try:
            proven = message.sender.hash in session.state.data["proven"]
            demand(proven, "DEVICE_UNPROVEN", "the directory log does not hold the device that sent this")
            demand(key, "NO_KEY", reading.bad_grants.get(epoch, "nobody has granted the key of this epoch yet"))
            open_message(message, key or b"")
        except Refused as error:
            message.refused = str(error)


def _check_seen(session: Session, reading: Reading) -> None:
    """That what each sender saw of this log is what this client sees."""
    newest, checked = reading.checkpoint, session.state.data["seen"]
    for message in reading.messages:
        size, root = message.statement["seen"]["size"], message.statement["seen"]["root"]
        name = f"{reading.operation} {size} {root}"
        if newest is None or name in checked:
            continue
        older = log.Checkpoint(newest.origin, size, log.decode_hash(root))
        proof = consistency(session, reading.operation, size, newest.size) if size < newest.size else []
        if log.is_consistent(older, newest, proof):
            checked.append(name)
        else:
            reading.alarms.append(f"CONSISTENCY: the sender of {message.id} saw another log")


def consistency(session: Session, operation: str, older: int, newer: int) -> list[bytes]:
    answer = session.call("GET", f"/v1/logs/{operation}/consistency?from={older}&to={newer}")
    return [log.decode_hash(sibling) for sibling in answer["proof"]]
