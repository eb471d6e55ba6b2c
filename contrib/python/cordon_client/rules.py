"""Who may do what, when (docs/access.md; docs/protocol.md, section 5)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .refused import demand
from .wire import Json

if TYPE_CHECKING:
    from .members import View

_CASEWORKERS = "coordinator analyst ncp officer partner"
_OPEN, _RUNNING = "draft rehearsal active reporting", "rehearsal active reporting"
# The roles that may, and the states of the operation in which they may.
MAY: dict[str, tuple[str, str]] = {
    "operation.update": ("coordinator", _OPEN),
    "operation.advance": ("coordinator", f"{_OPEN} closed"),
    "organization.remove": ("coordinator", f"{_OPEN} closed"),
    "member.admit": ("coordinator ncp", _OPEN),
    "member.change-role": ("coordinator ncp", _OPEN),
    "member.remove": ("coordinator ncp", f"{_OPEN} closed"),
    "compartment.create": ("coordinator analyst ncp", _OPEN),
    "compartment.change-members": ("coordinator analyst ncp", _OPEN),
    "epoch.open": (_CASEWORKERS, _OPEN),
    "message.post": (f"{_CASEWORKERS} right-holder", _RUNNING),
    "message.correct": (f"{_CASEWORKERS} right-holder", _RUNNING),
    "message.withdraw": (f"{_CASEWORKERS} right-holder", _RUNNING),
    "thread.open": (_CASEWORKERS, _RUNNING),
    "warning.issue": (_CASEWORKERS, "rehearsal active"),
    "warning.answer": (_CASEWORKERS, _RUNNING),
    "seizure.report": ("coordinator ncp officer", _RUNNING),
}
STATES = ["draft", "rehearsal", "active", "reporting", "closed", "archived"]
ROLES_OF_SERVICES = {"officer", "right-holder", "observer"}
ROLES = {"coordinator", "analyst", "ncp", "officer", "partner", "right-holder", "observer", "auditor"}
ROLES_OF_NCP = {"ncp", "officer"}
ROLES_IN_ALL = {"coordinator", "analyst", "ncp", "officer"}
PERMISSION_OF_ACT = {
    "set-operation": "operation.update",
    "advance": "operation.advance",
    "admit": "member.admit",
    "change-role": "member.change-role",
    "wake": "member.admit",
    "remove": "member.remove",
    "create-compartment": "compartment.create",
    "add-to-compartment": "compartment.change-members",
    "remove-from-compartment": "compartment.change-members",
}


@dataclass(frozen=True)
class Member:
    person: str
    organization: str
    role: str
    joined: int
    asleep: bool = False


def require(member: Member, permission: str, state: str) -> None:
    roles, states = MAY[permission]
    demand(member.role in roles.split(), "UNENTITLED", f"the role {member.role} does not include {permission}")
    demand(state in states.split(), "UNENTITLED", f"{permission} is not open while the operation is {state}")


def judge(view: "View", signer: Member, act: Json) -> None:
    """Refuses a member act that was not open to its signer at this point of the log."""
    kind = act["act"]
    whole = kind == "remove" and "organization" in act
    require(signer, "organization.remove" if whole else PERMISSION_OF_ACT[kind], view.state)
    if whole:
        others = (member for member in view.members.values() if member.organization != act["organization"])
        fits = act["organization"] in view.organizations and _coordinators(others) > 0
    elif kind == "advance":
        fits = act["state"] == view.state or (act["state"] in next_states(view.state) and act["state"] != "archived")
    elif kind == "admit":
        fits = _may_admit(view, signer, act)
    elif kind in ("change-role", "wake", "remove"):
        fits = _may_change(view, signer, act)
    elif kind == "create-compartment":
        fits = signer.person not in act["members"] and all(_may_hold(view, person) for person in act["members"])
    elif kind in ("add-to-compartment", "remove-from-compartment"):
        fits = _may_move(view, signer, act)
    else:
        fits = kind == "set-operation"
    demand(fits, "UNENTITLED", f"{signer.role} {signer.person} may not do this: {kind}")


def next_states(state: str) -> list[str]:
    """Forward, one after the other; a rehearsal may go back to the draft."""
    forward = STATES[STATES.index(state) + 1 :][:1]
    return [*forward, "draft"] if state == "rehearsal" else forward


def _reaches(signer: Member, organization: str, role: str, service: bool = False) -> bool:
    if signer.role == "coordinator":
        return role in (ROLES_OF_SERVICES if service else ROLES)
    return organization == signer.organization and role in ({"officer"} if service else ROLES_OF_NCP)


def _may_admit(view: "View", signer: Member, act: Json) -> bool:
    new = act["person"] != signer.person and act["person"] not in view.members
    invited = act["organization"] in view.organizations
    service = act["person"] in view.services
    reached = _reaches(signer, act["organization"], act["role"], service)
    return new and invited and reached and _one_is_enough(view, signer, act)


def _may_change(view: "View", signer: Member, act: Json) -> bool:
    target = view.members.get(act["person"])
    if target is None or not _reaches(signer, target.organization, target.role):
        return False
    if act["act"] == "wake":
        return True
    others = (member for member in view.members.values() if member.person != target.person)
    if _coordinators(others) == 0:
        return False
    if act["act"] == "remove":
        return True
    another = target.person != signer.person and act["role"] != target.role
    reached = _reaches(signer, target.organization, act["role"], target.person in view.services)
    return another and reached and _one_is_enough(view, signer, act)


def _may_move(view: "View", signer: Member, act: Json) -> bool:
    id, person = act["compartment"], act["person"]
    if id == view.operation or not view.is_in(signer.person, id):
        return False
    if act["act"] == "remove-from-compartment":
        return view.is_in(person, id)
    return _may_hold(view, person) and not view.is_in(person, id)


def _may_hold(view: "View", person: str) -> bool:
    return person in view.members and view.members[person].role != "auditor"


def _coordinators(members: Iterable[Member]) -> int:
    return sum(member.role == "coordinator" for member in members)


def _one_is_enough(view: "View", signer: Member, act: Json) -> bool:
    """Making a coordinator or an auditor takes two people once there are two coordinators, and for who took the role from one."""
    if act["role"] not in ("coordinator", "auditor"):
        return True
    unseated = act["v"] > 1 and signer.person in view.unseated
    return _coordinators(view.members.values()) < 2 and not unseated
