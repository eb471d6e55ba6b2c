"""Enrolment and sessions (docs/protocol.md, sections 3 and 4): every request carries a proof by the session key."""

import hashlib
import hmac
import secrets
import time
from typing import Any
from urllib.parse import urlsplit

import httpx
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from joserfc import jws
from joserfc.jwk import OKPKey

from .refused import Refused, demand
from .state import State
from .wire import (
    Device,
    Json,
    decode,
    digest,
    encode,
    fields,
    new_signing_key,
    now,
    public_part,
    read,
    thumbprint,
    write,
)

PREFIX = "cordon-invitation:"


def _derive(secret: bytes, info: str) -> bytes:
    return HKDF(SHA256(), 32, None, info.encode()).derive(secret)


def device_of(state: State) -> Device:
    return Device(state.data["sign"], decode(state.data["seal"]))


def enrol(state: State, invitation: str, passphrase: str) -> str:
    """Asks for a certificate and answers for whom one waits: nobody known where an earlier answer was lost."""
    demand(invitation.startswith(PREFIX), "INVITATION", f"an invitation begins with {PREFIX}")
    invited = fields(read(decode(invitation[len(PREFIX) :]).decode()), "s r i p o t k")
    state.refuse_as_sign_in(passphrase)
    begun = bool(state.data)
    with httpx.Client(base_url=invited["s"], timeout=30) as http:
        if not begun:
            _make_device(state, invited, _ask(http, "GET", "/v1/server"))
        asked = state.data.get("enrolment", {})
        demand(asked.get("invitation") == invited["i"], "STATE", f"{state.path} holds a device already")
        try:
            waits = _ask(http, "POST", "/v1/enrolments", json=asked | {"passphrase": passphrase})["inviter"]["name"]
        except Refused as error:
            # The first request may have been accepted, and the invitation be used up by it: signing in tells.
            if not begun or error.reason != "INVITATION_INVALID":
                if not begun and error.reason != "UNREACHABLE":
                    state.path.unlink()
                raise
            waits = ""
    del state.data["enrolment"]
    state.save()
    return str(waits)


def _make_device(state: State, invited: Json, server: Json) -> None:
    """Makes a device and its request, pins what invitation and service say, and puts all of it on the disk."""
    url = urlsplit(invited["s"])
    safe = url.scheme == "https" or (url.scheme == "http" and url.hostname in ("127.0.0.1", "::1", "localhost"))
    demand(safe, "INVITATION", "a service is spoken to over TLS")
    demand(server["root"] == invited["r"], "ROOT", "the service has another root than the invitation names")
    who = {"invitation": invited["i"], "person": invited["p"], "organization": invited["o"], "tier": invited["t"]}
    secret = decode(invited["k"])
    state.data = {
        "server": invited["s"],
        "root": invited["r"],
        "person": invited["p"],
        "organization": invited["o"],
        "tier": invited["t"],
        "sign": new_signing_key(),
        "seal": encode(secrets.token_bytes(32)),
        "directory": server["directory"],
        "logHost": server["logHost"],
        "logKeys": server["logKeys"],
        "checkpoints": {},
        "proven": [],
        "seen": [],
        "pending": {},
        "receipts": {},
    }
    device = device_of(state)
    statement = device.state("cordon-enrolment+jws", who | device.public)
    mac = hmac.digest(_derive(secret, "cordon invitation: certify"), statement.encode(), hashlib.sha256)
    authenticate = _derive(secret, "cordon invitation: authenticate")
    asked = {"authenticate": encode(authenticate), "statement": statement, "mac": encode(mac)}
    state.data["enrolment"] = {"invitation": invited["i"]} | asked
    state.save()


def _ask(http: httpx.Client, method: str, path: str, **request: Any) -> Any:
    try:
        return _json(http.request(method, path, **request))
    except httpx.TransportError as error:
        raise Refused("UNREACHABLE", str(error)) from error


def _json(answer: httpx.Response) -> Any:
    if answer.is_success:
        return answer.json() if answer.content else None
    try:
        problem = answer.json()
        raise Refused(problem["code"], problem.get("detail", problem["title"]))
    except (ValueError, KeyError) as error:
        raise Refused("ANSWER", f"the service answered {answer.status_code}") from error


class Session:
    """A session of one device. Its key and refresh token are kept, so that the next process goes on with it."""

    def __init__(self, state: State):
        self.state, self.device, self.url = state, device_of(state), state.data["server"]
        self._http = httpx.Client(base_url=self.url, timeout=30)
        self._access, self._until = "", 0.0

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def sign_in(self, passphrase: str) -> None:
        self.state.refuse_as_sign_in(passphrase)
        key = new_signing_key()
        person = self.state.data["person"]
        claims = {"person": person, "device": self.device.id, "jkt": thumbprint(key), "at": now()}
        proof = self.device.state("cordon-sign-in+jws", claims)
        self.state.data["session"] = {"key": key}
        self._take(self._send("POST", "/v1/sessions", {"proof": proof, "passphrase": passphrase}))

    def refresh(self) -> None:
        session = self.state.data.get("session", {})
        token = session.get("refreshToken")
        demand(token, "UNAUTHENTICATED", "sign in first")
        # One name for each repetition, also by the next process: an answer that was lost is given again.
        if "attempt" not in session:
            session["attempt"] = secrets.token_urlsafe(16)
            self.state.save()
        self._take(self._send("POST", "/v1/tokens", {"refreshToken": token, "attempt": session["attempt"]}))

    def _take(self, tokens: Json) -> None:
        self._access, self._until = tokens["accessToken"], time.monotonic() + tokens["expiresIn"] - 30
        self.state.data["session"]["refreshToken"] = tokens["refreshToken"]
        self.state.data["session"].pop("attempt", None)
        self.state.save()

    def call(self, method: str, path: str, body: Json | None = None) -> Any:
        if time.monotonic() > self._until:
            self.refresh()
        return self._send(method, path, body, self._access)

    def _send(self, method: str, path: str, body: Json | None = None, token: str = "") -> Any:
        headers = {"DPoP": self._proof(method, path.split("?")[0], token)}
        if token:
            headers["Authorization"] = f"DPoP {token}"
        return _ask(self._http, method, path, json=body, headers=headers)

    def _proof(self, method: str, path: str, token: str) -> str:
        key = self.state.data["session"]["key"]
        header = {"alg": "Ed25519", "typ": "dpop+jwt", "jwk": public_part(key)}
        claims = {"htm": method, "htu": self.url + path, "iat": int(time.time()), "jti": secrets.token_urlsafe(24)}
        if token:
            claims["ath"] = digest(token)
        return jws.serialize_compact(header, write(claims), OKPKey.import_key(key), algorithms=["Ed25519"])
