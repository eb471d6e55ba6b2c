"""Keeps one session of contrib/python open and does what is asked for, a JSON document a line."""

import json
import sys
from pathlib import Path

from cordon_client.posting import Draft, pending_of, post, send_pending
from cordon_client.reading import read
from cordon_client.refused import Refused
from cordon_client.session import Session
from cordon_client.state import State


def do(session, asked):
    if asked["do"] == "post":
        return post(session, asked["operation"], Draft(**asked["draft"]))
    if asked["do"] == "send":
        return {"sent": [send_pending(session, id) for id in pending_of(session)]}
    reading = read(session, asked["operation"])
    shown = {message.id: message.shown() for message in reading.messages}
    return {"messages": shown, "alarms": reading.alarms, "badGrants": list(reading.bad_grants.values())}


with Session(State.open(Path(sys.argv[1]), Path(sys.argv[2]).read_text())) as session:
    for line in sys.stdin:
        try:
            answer = do(session, json.loads(line))
        except Refused as error:
            answer = {"refused": str(error)}
        print(json.dumps(answer), flush=True)
