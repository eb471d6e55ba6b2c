"""Who is in an operation (docs/protocol.md, sections 5 and 6): its log, folded and believed entry by entry."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from .certificates import CLOCK_DIFFERENCE, Certificate, Trust, is_usable
from .refused import Refused, demand
from .rules import ROLES_IN_ALL, ROLES_OF_SERVICES, STATES, Member, judge, next_states, require
from .wire import Json, Statement, decode, digest, fields, parse_time, read, read_statement

UUID = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
ACTS = {
    "create-operation": "history allHolds coordinators",
    "set-operation": "history allHolds",
    "advance": "state",
    "admit": "person organization role",
    "change-role": "person role",
    "wake": "person",
    "create-compartment": "compartment members",
    "add-to-compartment": "compartment person",
    "remove-from-compartment": "compartment person",
}
KIND_OF_ACT = {
    "operation.created": {"create-operation"},
    "operation.rules-set": {"set-operation"},
    "operation.advanced": {"advance"},
    "operation.organization-removed": {"remove"},
    "member.admitted": {"admit", "create-operation"},
    "member.role-changed": {"change-role"},
    "member.removed": {"remove"},
    "member.woken": {"wake"},
    "compartment.created": {"create-compartment"},
    "compartment.member-added": {"add-to-compartment"},
    "compartment.member-removed": {"remove-from-compartment"},
}
# Since version 2 whoever comes into `all` by these is there since the entry; version 1 counted from the admission.
MOVES_PEOPLE = {"set-operation", "change-role"}
BRINGS_IN = {"member.admitted", "member.role-changed", "compartment.member-added", "operation.rules-set"}
DISPUTES_THAT_STALE = 2
# Of these every kind must be understood; others neither add nor remove anybody.
DECISIVE = ("operation.", "member.", "device.", "compartment.", "epoch.", "message.")
WITHOUT_EFFECT = {"operation.updated", "message.posted", "message.corrected", "message.withdrawn"}


@dataclass(frozen=True)
class Epoch:
    number: int
    commitment: str
    opened: int


@dataclass
class Compartment:
    members: dict[str, int] = field(default_factory=dict)
    since: dict[str, int] = field(default_factory=dict)
    heads: list[str] = field(default_factory=list)
    epochs: list[Epoch] = field(default_factory=list)
    stale: str | None = None
    disputed: set[str] = field(default_factory=set)
    last: tuple[int, int] | None = None


class View:
    """What the entries so far say. `apply` refuses an entry that does not follow from those before it."""

    def __init__(self, operation: str, trust: Trust, person: str):
        self.operation, self.trust, self.person = operation, trust, person
        self.position = -1
        self.at = ""
        self.state, self.history = "draft", "full"
        # The version of the statement that created the operation; whether a state counts only where a coordinator signed it.
        self.version, self.states_signed = 1, False
        self.all_holds: set[str] = set()
        self.heads: list[str] = []
        self.organizations: set[str] = set()
        self.members: dict[str, Member] = {}
        self.devices: dict[str, Certificate] = {}
        self.services: set[str] = set()
        # Since when each revoked device is not believed; the sealing key that each device ever had.
        self.revoked: dict[str, datetime] = {}
        self.seals: dict[str, Json] = {}
        # Those who took the role from another coordinator.
        self.unseated: set[str] = set()
        self.compartments: dict[str, Compartment] = {operation: Compartment()}
        self._holes: list[tuple[str, int, int]] = []

    # --- questions ---

    def is_in(self, person: str, compartment: str) -> bool:
        member = self.members.get(person)
        if member is None:
            return False
        if compartment == self.operation:
            by_role = member.role in ROLES_IN_ALL | self.all_holds
            return by_role and (person not in self.services or person in self.all_holds)
        return person in self.compartment(compartment).members

    def compartment(self, compartment: str) -> Compartment:
        known = self.compartments.get(compartment)
        if known is None:
            raise Refused("COMPARTMENT", "a compartment that no statement created")
        return known

    def recipients(self, compartment: str) -> list[str]:
        return sorted(device for device, known in self.devices.items() if self._holds(known, compartment))

    def _holds(self, device: Certificate, compartment: str) -> bool:
        member = self.members.get(device.person)
        if member is None or member.asleep or device.organization != member.organization:
            return False
        return self._reads(member.person, compartment)

    def _reads(self, person: str, compartment: str) -> bool:
        """Whether a person may hold the keys of a compartment while awake."""
        return self.is_in(person, compartment) and self.members[person].role != "auditor"

    def heads_of(self, compartment: str) -> Json:
        heads = self.compartment(compartment).heads
        return {"operation": self.heads[-1]} | ({"compartment": heads[-1]} if heads else {})

    def signer(self, statement: Statement) -> Member:
        """The member whose live device signed this, now."""
        device = self.devices.get(statement.signer)
        if device is None or device.hash != statement.crt:
            raise Refused("SIGNER", "signed by a device that is not live here, or under another certificate")
        statement.verify(device.sign)
        member = self.members.get(device.person)
        if member is None or member.organization != device.organization:
            raise Refused("SIGNER", "signed by somebody who is no member")
        return member

    # --- entries ---

    def apply(self, leaf: Json, frame: Json) -> None:
        demand(leaf["index"] == frame["index"] > self.position, "VIEW_ORDER", "entries come in the order of the log")
        demand(leaf["at"] >= self.at, "LEAF_TIME", "an entry is dated before one that precedes it")
        touches_devices = leaf["kind"].startswith(("member.", "device.", "compartment.", "operation.rules-set"))
        before = {id: set(self.recipients(id)) for id in self.compartments} if touches_devices else {}
        handle = self._handlers().get(leaf["kind"])
        understood = handle is not None or leaf["kind"] in WITHOUT_EFFECT or not leaf["kind"].startswith(DECISIVE)
        demand(understood, "LEAF", f"an entry of an unknown kind: {leaf['kind']}")
        if handle is not None:
            handle(leaf, frame)
        self._count(leaf)
        self.position, self.at = leaf["index"], leaf["at"]
        counts_from_admission = self._counts_from_admission(frame)
        moved = self._moved(leaf) if touches_devices else []
        self._note_since(moved, leaf["index"], counts_from_admission)
        newcomers = moved if leaf["kind"] in BRINGS_IN and not counts_from_admission else []
        for id, held in before.items():
            self._mark_stale(id, held, newcomers)

    def _counts_from_admission(self, frame: Json) -> bool:
        if "statement" not in frame:
            return False
        payload = read(decode(frame["statement"].split(".")[1]).decode("utf-8", "surrogatepass"))
        return payload.get("act") in MOVES_PEOPLE and payload["v"] == 1

    def _moved(self, leaf: Json) -> list[str]:
        """Whom an entry that was applied can have brought into a compartment, or taken out of one."""
        kind, subject = leaf["kind"], leaf["subject"]
        if kind == "operation.rules-set":
            return list(self.members)
        if kind == "device.certified":
            known = self.devices.get(subject)
            return [known.person] if known is not None and known.person in self.services else []
        if kind == "compartment.created":
            return list(self.compartment(subject).members)
        return [subject] if kind.startswith(("member.", "compartment.")) else []

    def _note_since(self, moved: list[str], index: int, counts_from_admission: bool) -> None:
        for id, compartment in self.compartments.items():
            for person in moved:
                if not self._reads(person, id):
                    compartment.since.pop(person, None)
                elif person not in compartment.since:
                    admitted = max(self.members[person].joined, compartment.members.get(person, 0))
                    compartment.since[person] = admitted if counts_from_admission else index

    def _count(self, leaf: Json) -> None:
        """Each entry of a compartment has the next number."""
        if "seq" not in leaf:
            return
        compartment = self.compartment(leaf["compartment"])
        if compartment.last is not None and leaf["seq"] != compartment.last[0] + 1:
            self._holes.append((leaf["compartment"], compartment.last[1], leaf["index"]))
        compartment.last = leaf["seq"], leaf["index"]

    def withheld(self) -> list[str]:
        """Holes in one's own compartments that the rules do not explain."""
        if self.state in ("draft", "archived"):
            return []
        found = [(after, before) for id, after, before in self._holes if self._should_see(id, after)]
        return [f"HOLE: an entry between {after} and {before} was withheld" for after, before in found]

    def _should_see(self, id: str, after: int) -> bool:
        since = self.compartments[id].since.get(self.person)
        return since is not None and (self.history == "full" or after >= since)

    def _handlers(self) -> dict[str, Callable[[Json, Json], None]]:
        handlers = {kind: self._member_act for kind in KIND_OF_ACT}
        return handlers | {
            "operation.organization-admitted": lambda leaf, _: self.organizations.add(leaf["subject"]),
            "operation.advanced": self._advance,
            "member.slept": lambda leaf, _: self._sleep(leaf["subject"]),
            "member.ended": lambda leaf, _: self._remove(leaf["subject"]),
            "device.certified": self._certify,
            "device.revoked": self._revoke,
            "device.expired": self._expire,
            "epoch.opened": self._open_epoch,
            "epoch.disputed": self._dispute,
        }

    def _mark_stale(self, id: str, held: set[str], newcomers: list[str]) -> None:
        compartment = self.compartments[id]
        if not compartment.epochs or compartment.stale:
            return
        opened = compartment.epochs[-1].opened
        if held - set(self.recipients(id)):
            compartment.stale = "member-left"
        elif self.history == "from-joining" and any(compartment.since.get(one, -1) > opened for one in newcomers):
            compartment.stale = "member-joined"

    def _advance(self, leaf: Json, frame: Json) -> None:
        if "digest" in leaf:
            return self._member_act(leaf, frame)
        demand(not self.states_signed, "STATE_UNSIGNED", "a state that no coordinator signed")
        demand(leaf["subject"] in next_states(self.state), "OPERATION_STATE", "a state that does not follow")
        self._move_to(leaf["subject"])

    def _move_to(self, state: str) -> None:
        if self.state == "rehearsal" and state != "rehearsal":
            for compartment in self.compartments.values():
                if compartment.epochs:
                    compartment.stale = compartment.stale or "state-changed"
        self.state = state

    def _certify(self, leaf: Json, frame: Json) -> None:
        jws = statement_of(leaf, frame)
        certificate = self.trust.believe(jws, frame.get("chain", []))
        demand(certificate.device == leaf["subject"], "VIEW", "an entry and its certificate name different devices")
        demand(certificate.device not in self.revoked, "DEVICE_REVOKED", "a device that was revoked does not come back")
        kept = self.seals.setdefault(certificate.device, certificate.seal)
        demand(kept == certificate.seal, "SEAL_CHANGED", "a device keeps its sealing key for ever")
        demand(is_usable(certificate.seal), "KEY", "a device to which nothing can be sealed")
        since = self.revoked.get(certificate.issuer)
        stands = since is None or certificate.issued_at <= since + 2 * CLOCK_DIFFERENCE
        demand(stands, "CERTIFICATE_CHAIN", "a certificate by a device that had been revoked")
        member = self.members.get(certificate.person)
        if certificate.tier == "service":
            within = member is None or member.role in ROLES_OF_SERVICES
            demand(within, "UNENTITLED", "a service account is officer at most")
            self.services.add(certificate.person)
        # What comes for somebody who is no member changes nothing.
        if member is not None:
            self.devices[certificate.device] = certificate

    def _expire(self, leaf: Json, _: Json) -> None:
        self.devices.pop(leaf["subject"], None)

    def _revoke(self, leaf: Json, frame: Json) -> None:
        revocation = read_statement("cordon-revocation+jws", statement_of(leaf, frame), crt=False)
        fields(revocation.payload, "v device at", "compromisedAt")
        demand(revocation.payload["device"] == leaf["subject"], "VIEW", "a revocation of another device")
        chain = frame.get("chain", [])
        if chain:
            self.trust.believe(chain[0], chain[1:])
        signer = self.devices.get(revocation.signer) or self.trust.of_device(revocation.signer)
        if signer is None:
            raise Refused("SIGNER", "revoked by a device that nobody knows")
        revocation.verify(signer.sign)
        at = parse_time(revocation.payload["at"])
        since = parse_time(revocation.payload.get("compromisedAt", revocation.payload["at"]))
        self.revoked[leaf["subject"]] = min(at, since, self.revoked.get(leaf["subject"], since))
        revoked = self.devices.pop(leaf["subject"], None)
        if revoked is not None:
            own = signer.person == revoked.person
            of_organization = signer.tier == "ncp" and signer.organization == revoked.organization
            above = signer.tier == "administrator" or signer.device == self.trust.root
            demand(own or of_organization or above, "REVOCATION", "revoked by somebody who may not")

    def _open_epoch(self, leaf: Json, frame: Json) -> None:
        statement = read_statement("cordon-epoch+jws", statement_of(leaf, frame), crt=True)
        said = fields(statement.payload, "v operation compartment epoch commitment recipients members reason openedAt")
        id = said["compartment"]
        demand(
            said["operation"] == self.operation and leaf["compartment"] == id, "VIEW", "an epoch of something else"
        )
        demand(leaf["subject"] == f"{id}#{said['epoch']}", "VIEW", "an entry and its epoch have different numbers")
        compartment = self.compartment(id)
        signer = self.signer(statement)
        require(signer, "epoch.open", self.state)
        demand(self.is_in(signer.person, id), "UNENTITLED", "an epoch by somebody outside its compartment")
        demand(said["epoch"] == len(compartment.epochs) + 1, "EPOCH_HIDDEN", "an epoch is missing")
        demand(
            said["recipients"] == self.recipients(id),
            "EPOCH_RECIPIENTS",
            "an epoch for other devices than the members'",
        )
        demand(said["members"] == self.heads_of(id), "EPOCH_HEADS", "an epoch by somebody who did not know the members")
        parse_time(said["openedAt"])
        compartment.epochs.append(Epoch(said["epoch"], said["commitment"], leaf["index"]))
        compartment.stale, compartment.disputed = None, set()

    def _dispute(self, leaf: Json, _: Json) -> None:
        compartment = self.compartment(leaf["compartment"])
        compartment.disputed.add(leaf["actor"]["device"])
        if compartment.epochs and len(compartment.disputed) >= DISPUTES_THAT_STALE:
            compartment.stale = compartment.stale or "disputed"

    # --- member statements ---

    def _member_act(self, leaf: Json, frame: Json) -> None:
        statement = read_statement("cordon-member+jws", statement_of(leaf, frame), crt=True, versions=(1, 2))
        act = read_act(statement.payload)
        demand(act["operation"] == self.operation, "VIEW", "a member statement of another operation")
        demand(act["v"] >= self.version, "MEMBERS_VERSION", "a member statement of an older version than its operation")
        demand(act["act"] in KIND_OF_ACT[leaf["kind"]], "VIEW", "a statement that makes no such entry")
        chain = self.heads if "compartment" not in act else self._chain_of(act, leaf)
        makes_many = act["act"] == "create-operation" or (act["act"] == "remove" and "organization" in act)
        if not (makes_many and statement.hash in chain[-1:]):
            demand(statement.hash not in chain, "MEMBERS_REPEATED", "a member statement stands behind two acts")
            if act["act"] == "create-operation":
                begins = not chain and act["previous"] is None and leaf["index"] == 0
                demand(begins, "MEMBERS_BEGIN", "an operation begins once, with its creation")
            follows = act["previous"] == (chain[-1] if chain else None)
            begun = act["previous"] is not None or act["act"] in ("create-operation", "create-compartment")
            demand(follows and begun, "MEMBERS_CHAIN", "a member statement was withheld")
            if act["act"] == "create-operation":
                self._judge_creation(statement, act, frame)
            else:
                judge(self, self.signer(statement), act)
            chain.append(statement.hash)
        self._carry_out(act, leaf, statement)

    def _chain_of(self, act: Json, leaf: Json) -> list[str]:
        demand(leaf.get("compartment") == act["compartment"], "VIEW", "a statement of another compartment")
        if act["act"] == "create-compartment":
            demand(act["compartment"] not in self.compartments, "UNENTITLED", "this compartment exists already")
            self.compartments[act["compartment"]] = Compartment()
        return self.compartment(act["compartment"]).heads

    def _judge_creation(self, statement: Statement, act: Json, frame: Json) -> None:
        chain = frame.get("chain", [])
        demand(chain, "CERTIFICATE_CHAIN", "an operation that was created without a certificate")
        creator = self.trust.believe(chain[0], chain[1:])
        fits = creator.device == statement.signer and creator.hash == statement.crt
        demand(fits, "SIGNER", "an operation was created under another certificate")
        statement.verify(creator.sign)
        entitled = creator.tier == "administrator" or creator.device == self.trust.root
        names_itself = any(named["person"] == creator.person for named in act["coordinators"])
        demand(entitled and not names_itself, "UNENTITLED", "only an administrator creates an operation, for others")

    def _carry_out(self, act: Json, leaf: Json, statement: Statement) -> None:
        kind, subject, index = act["act"], leaf["subject"], leaf["index"]
        if kind in ("create-operation", "set-operation"):
            if leaf["kind"] == "member.admitted":
                named = next((c for c in act["coordinators"] if c["person"] == subject), None)
                if named is None:
                    raise Refused("VIEW", "somebody was admitted whom the creation does not name")
                self.members[subject] = Member(subject, named["organization"], "coordinator", index)
                return
            if kind == "create-operation":
                self.version, self.states_signed = act["v"], act["v"] == 2
            self.history, self.all_holds = act["history"], set(act["allHolds"])
            self.organizations |= {named["organization"] for named in act.get("coordinators", [])}
            return
        if kind == "advance":
            demand(subject == act["state"], "VIEW", "an entry and its statement name different states")
            self.states_signed = True
            return self._move_to(act["state"])
        if leaf["kind"] == "member.removed" or (kind == "change-role" and act["role"] != "coordinator"):
            self._note_unseated(subject, statement)
        if "organization" in act and kind == "remove":
            if leaf["kind"] == "operation.organization-removed":
                demand(subject == act["organization"], "VIEW", "a removal of another organization")
                self.organizations.discard(subject)
                return
            known = self.members.get(subject)
            demand(known and known.organization == act["organization"], "VIEW", "a removal of somebody else")
            return self._remove(subject)
        named = act["compartment"] if kind == "create-compartment" else act["person"]
        demand(subject == named, "VIEW", "an entry and its statement name different subjects")
        if kind == "admit":
            self.members[subject] = Member(subject, act["organization"], act["role"], index)
        elif kind == "change-role":
            self._change(subject, role=act["role"])
        elif kind == "wake":
            self._change(subject, asleep=False)
        elif kind == "remove":
            self._remove(subject)
        elif kind == "create-compartment":
            creator = self.devices[statement.signer].person
            self.compartments[subject].members = {person: index for person in [creator, *act["members"]]}
        elif kind == "add-to-compartment":
            self.compartments[act["compartment"]].members[subject] = index
        else:
            self.compartments[act["compartment"]].members.pop(subject, None)

    def _note_unseated(self, subject: str, statement: Statement) -> None:
        by, gone = self.devices.get(statement.signer), self.members.get(subject)
        if by is not None and by.person != subject and gone is not None and gone.role == "coordinator":
            self.unseated.add(by.person)

    def _sleep(self, person: str) -> None:
        if person in self.members:
            self._change(person, asleep=True)

    def _change(self, person: str, **change: Any) -> None:
        if person not in self.members:
            raise Refused("VIEW", "an entry about somebody who is no member")
        self.members[person] = replace(self.members[person], **change)

    def _remove(self, person: str) -> None:
        self.members.pop(person, None)
        self.devices = {id: known for id, known in self.devices.items() if known.person != person}
        for compartment in self.compartments.values():
            compartment.members.pop(person, None)


def read_act(payload: Json) -> Json:
    kind = payload.get("act")
    demand(payload["v"] in (1, 2), "SHAPE", "a member statement of an unknown version")
    if kind == "remove":
        return fields(payload, f"v operation previous at act {'person' if 'person' in payload else 'organization'}")
    demand(kind in ACTS, "SHAPE", "a member statement of an unknown act")
    act = fields(payload, f"v operation previous at act {ACTS[str(kind)]}")
    holds = all(held in ("partner", "observer") or UUID.fullmatch(held) for held in act.get("allHolds", []))
    known = act.get("history", "full") in ("full", "from-joining") and act.get("state", "draft") in STATES and holds
    demand(known, "SHAPE", "a rule that nobody named")
    return act


def statement_of(leaf: Json, frame: Json) -> str:
    jws = frame.get("statement")
    if not isinstance(jws, str) or digest(jws) != leaf.get("digest"):
        raise Refused("VIEW_DIGEST", "an entry commits to another statement")
    return jws
