"""Lets the view of contrib/python believe entries, or refuse one: an operation's log a line, as a JSON document."""

import json
import sys

from cordon_client.certificates import Trust
from cordon_client.log import read_leaf
from cordon_client.members import View
from cordon_client.refused import Refused


def believe(asked):
    view = View(asked["operation"], Trust(asked["root"]), asked["person"])
    for number, frame in enumerate(asked["entries"]):
        try:
            leaf = read_leaf(frame["leaf"], asked["operation"])
            view.apply(leaf, frame | {"index": leaf["index"]})
        except Refused as error:
            return {"entry": number, "refused": error.reason}
    return {}


for line in sys.stdin:
    print(json.dumps(believe(json.loads(line))), flush=True)
