"""python -m cordon_client enrol|sign-in|whoami|read|post"""

import argparse
import getpass
import json
import os
import sys
from pathlib import Path

from .posting import Draft, pending_of, post, send_pending
from .reading import own_certificate, read
from .refused import Refused
from .session import Session, enrol
from .state import State


def secret(setting: str, question: str) -> str:
    """From the file that the environment names, or asked for."""
    file = os.environ.get(setting)
    return Path(file).read_text().rstrip("\n") if file else getpass.getpass(f"{question}: ")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="cordon_client", description="A small client of Cordon.")
    parser.add_argument("--state", type=Path, default=Path("cordon.state"), help="file of this device")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("enrol", help="make a device").add_argument("invitation")
    commands.add_parser("sign-in", help="begin a session")
    commands.add_parser("whoami", help="this device, its certificate and its operations")
    commands.add_parser("read", help="read an operation").add_argument("operation")
    posting = commands.add_parser("post", help="post a message")
    posting.add_argument("operation")
    posting.add_argument("--form", default="text")
    posting.add_argument("--fields", type=json.loads, required=True, help="JSON")
    posting.add_argument("--subject")
    posting.add_argument("--thread")
    posting.add_argument("--compartment")
    posting.add_argument("--reply-to")
    posting.add_argument("--tlp", default="AMBER")
    posting.add_argument("--precedence", default="routine")
    commands.add_parser("send", help="send again what has no receipt")
    return parser.parse_args()


def show(value: object) -> None:
    print(json.dumps(value))


def run(asked: argparse.Namespace) -> None:
    store = secret("CORDON_STORE_PASSPHRASE_FILE", "Passphrase of the file")
    if asked.command == "enrol":
        state = State.open(asked.state, store) if asked.state.exists() else State.create(asked.state, store)
        waits_for = enrol(state, asked.invitation, secret("CORDON_PASSPHRASE_FILE", "Passphrase for signing in"))
        return show({"person": state.data["person"], "waitsFor": waits_for})
    with Session(State.open(asked.state, store)) as session:
        if asked.command == "sign-in":
            session.sign_in(secret("CORDON_PASSPHRASE_FILE", "Passphrase for signing in"))
            show({"device": session.device.id})
        elif asked.command == "whoami":
            own = own_certificate(session)
            operations = session.call("GET", "/v1/operations")["operations"]
            about = {"person": own.person, "organization": own.organization, "tier": own.tier, "device": own.device}
            show(about | {"operations": operations})
        elif asked.command == "read":
            reading = read(session, asked.operation)
            for message in reading.messages:
                show(message.shown())
            for alarm in reading.alarms:
                show({"alarm": alarm})
            for bad in reading.bad_grants.values():
                show({"badGrant": bad})
        elif asked.command == "post":
            refers_to = None if asked.reply_to is None else {"message": asked.reply_to, "as": "reply"}
            written = (asked.form, asked.fields, asked.subject, asked.compartment, asked.thread, refers_to)
            show(post(session, asked.operation, Draft(*written, asked.tlp, asked.precedence)))
        else:
            for id in pending_of(session):
                show(send_pending(session, id))


if __name__ == "__main__":
    try:
        run(arguments())
    except Refused as error:
        sys.exit(f"refused: {error}")
