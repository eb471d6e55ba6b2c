"""What this client does not believe, and why."""


class Refused(Exception):
    """Something does not fit; `reason` is a stable name for it, or the code of the service's problem."""

    def __init__(self, reason: str, message: str):
        super().__init__(f"{reason}: {message}")
        self.reason = reason


def demand(condition: object, reason: str, message: str) -> None:
    if not condition:
        raise Refused(reason, message)
