"""Messages (docs/protocol.md, section 7; docs/forms.md): what is sealed, what is in the clear, what a reader checks."""

import math
from dataclasses import dataclass, field
from datetime import timedelta

from .certificates import Certificate
from .members import View, statement_of
from .refused import Refused, demand
from .rules import require
from .wire import (
    Device,
    Json,
    body_header,
    decode,
    digest,
    encode,
    fields,
    open_body,
    parse_time,
    read,
    read_statement,
    sha256,
    write,
)

SMALLEST_PLAINTEXT = 1024
LATE = timedelta(hours=1)
CLOCKS_DIFFER = timedelta(minutes=5)
_ROUTE = ["/origin", "/departure", "/transit", "/destination"]
_GOODS = ["category", "hs", "quantity", "unit", "estimated", "weight"]
# docs/forms.json: what each form puts in the clear.
EXTRACTED: dict[str, list[str]] = {
    "text": [],
    "warning": ["/country", "/indicators", "/categories", "/mode", *_ROUTE, "/eta"],
    "feedback": ["/country", "/outcome", "/date", "/reason"],
    "seizure": [
        *["/country", "/date", "/dateTo", "/place", "/placeType", "/direction", "/mode", *_ROUTE],
        *["/detectionMethod", "/concealment", *(f"/items/*/{name}" for name in _GOODS)],
        *["/legalStatus", "/persons", "/indicators"],
    ],
}
PERMISSION_OF_FORM = {"warning": "warning.issue", "feedback": "warning.answer", "seizure": "seizure.report"}
PERMISSION_OF_RELATION = {
    "feedback": "warning.answer",
    "correction": "message.correct",
    "withdrawal": "message.withdraw",
}
KIND_OF_RELATION = {"correction": "message.corrected", "withdrawal": "message.withdrawn"}


def padme(length: int) -> int:
    """Padmé (Nikitin et al., PETS 2019)."""
    exponent = int(math.log2(length))
    bits = max(exponent - (int(math.log2(exponent)) + 1), 0)
    return -(-length >> bits) << bits


def padded(content: Json) -> bytes:
    bare = len(write(content | {"pad": ""}).encode())
    return write(content | {"pad": "0" * (padme(max(bare, SMALLEST_PLAINTEXT)) - bare)}).encode()


def extract_of(form: str, values: Json) -> Json | None:
    """The declared paths of the fields and nothing beside them."""
    found: Json = {}
    for path in EXTRACTED[form]:
        name, *below = path[1:].split("/")
        if name not in values:
            continue
        if below:
            items = found.setdefault(name, [{} for _ in values[name]])
            for item, value in zip(items, values[name], strict=True):
                item.update({below[1]: value[below[1]]} if below[1] in value else {})
        else:
            found[name] = values[name]
    return found or None


def canonical(extract: Json) -> str:
    def ordered(value: object) -> object:
        if isinstance(value, dict):
            return {name: ordered(value[name]) for name in sorted(value)}
        return [ordered(item) for item in value] if isinstance(value, list) else value

    return write(ordered(extract))


@dataclass
class Message:
    """A message whose statement holds; `refused` says why nothing of it is shown, `marks` what a reader should know."""

    id: str
    index: int
    at: str
    sender: Certificate
    statement: Json
    body: str | None
    extract: Json | None
    marks: list[str] = field(default_factory=list)
    refused: str | None = None
    content: Json | None = None

    @property
    def device(self) -> str:
        return self.sender.device

    def shown(self) -> Json:
        said = self.statement
        sender = {"person": self.sender.person, "organization": self.sender.organization, "device": self.device}
        outside = {name: said[name] for name in ("compartment", "thread", "form", "precedence", "handling", "sentAt")}
        inside = (
            {}
            if self.content is None
            else {name: self.content[name] for name in ("subject", "fields") if name in self.content}
        )
        refers = {"refersTo": said["refersTo"]} if "refersTo" in said else {}
        refused = {} if self.refused is None else {"refused": self.refused}
        about = {"id": self.id, "index": self.index, "at": self.at, "sender": sender}
        return about | outside | refers | inside | {"marks": self.marks} | refused


def receive(view: View, threads: set[str], leaf: Json, frame: Json) -> Message:
    """Checks a message at its place in the log, before it is opened."""
    statement = read_statement("cordon-message+jws", statement_of(leaf, frame), crt=True)
    said = fields(
        statement.payload,
        "v id operation compartment thread epoch form precedence handling sentAt seen body attachments members",
        "refersTo addressees replyBy extract exercise",
    )
    form = fields(said["form"], "id version")["id"]
    relation = fields(said["refersTo"], "message as")["as"] if "refersTo" in said else None
    id = said["compartment"]
    places = said["operation"] == view.operation and leaf["compartment"] == id and leaf["subject"] == said["id"]
    demand(places and leaf["actor"].get("device") == statement.signer, "DIGEST", "a message and its entry differ")
    demand(leaf["kind"] == KIND_OF_RELATION.get(relation or "", "message.posted"), "DIGEST", "an entry of another kind")
    sender = view.signer(statement)
    first = "" if said["thread"] in threads else "thread.open"
    needed = ["message.post", PERMISSION_OF_FORM.get(form), PERMISSION_OF_RELATION.get(relation or ""), first]
    for permission in filter(None, needed):
        require(sender, permission, view.state)
    demand(view.is_in(sender.person, id), "UNENTITLED", "a message by somebody outside its compartment")
    compartment = view.compartment(id)
    current = len(compartment.epochs)
    demand(said["epoch"] == current and not compartment.stale, "EPOCH_STALE", "a message under an old key")
    heads = fields(said["members"], "operation", "compartment")
    known = heads["operation"] in view.heads and heads.get("compartment", None) in [*compartment.heads, None]
    demand(known, "MEMBERS_CHAIN", "a sender knows a member statement that was withheld from this client")
    demand(
        said.get("exercise", False) == (view.state == "rehearsal"), "OPERATION_STATE", "an exercise outside rehearsal"
    )
    threads.add(said["thread"])
    message = Message(said["id"], leaf["index"], leaf["at"], view.devices[statement.signer], said, None, None)
    after = parse_time(leaf["at"]) - parse_time(said["sentAt"])
    if after > LATE or after < -CLOCKS_DIFFER:
        message.marks.append("late" if after > LATE else "early")
    try:
        _check_body(message, frame)
    except Refused as error:
        message.refused = str(error)
    return message


def _check_body(message: Message, frame: Json) -> None:
    said, body = message.statement, frame.get("body", "")
    named = fields(said["body"], "sha256 size")
    demand(named == {"sha256": digest(body), "size": len(body)}, "BODY_HASH", "a body that its statement does not name")
    message.body = body
    if "extract" in said or "extract" in frame:
        demand("extract" in frame and "salt" in frame, "EXTRACT_HASH", "an extract is missing")
        hash = encode(sha256(decode(frame["salt"]) + frame["extract"].encode()))
        demand(said.get("extract") == {"sha256": hash}, "EXTRACT_HASH", "an extract that its statement does not name")
        message.extract = read(frame["extract"])
        demand(canonical(message.extract) == frame["extract"], "EXTRACT_HASH", "an extract written in another way")


def open_message(message: Message, key: bytes) -> None:
    """Opens the body, and marks where it and the extract differ."""
    said = message.statement
    header = body_header(f"{said['compartment']}#{said['epoch']}", message.id, message.device)
    content = fields(open_body(message.body or "", header, key), "form fields attachments pad", "subject")
    form = said["form"]["id"]
    demand(content["form"] == form, "BODY", "a body of another form than its statement")
    message.content = content
    if form not in EXTRACTED or said["form"]["version"] != 1:
        message.marks.append("form-unknown")
    elif said.get("refersTo", {}).get("as") != "withdrawal" and extract_of(form, content["fields"]) != message.extract:
        message.marks.append("extract-differs")


def open_grant(device: Device, compartment: str, epoch: int, commitment: str, grant: str) -> bytes:
    """The key of an epoch, if it is the one that its statement commits to."""
    kid = f"{compartment}#{epoch}"
    jwk = read(device.open(grant, {"typ": "cordon-grant+jwe", "cmp": compartment, "epo": epoch}).decode())
    demand(fields(jwk, "kty k kid")["kid"] == kid and jwk["kty"] == "oct", "SEALED", "a grant holds another key")
    key = decode(jwk["k"])
    demand(
        commitment_of(key) == commitment, "GRANT_COMMITMENT", f"the key of {kid} is not the one that was committed to"
    )
    return key


def commitment_of(key: bytes) -> str:
    return encode(sha256(b"cordon epoch key" + key))
