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
    """Makes a device, asks for a certificate, pins what invitation and service say. Answers for whom one waits."""
    demand(invitation.startswith(PREFIX), "INVITATION", f"an invitation begins with {PREFIX}")
    invited = fields(read(decode(invitation[len(PREFIX) :]).decode()), "s r i p o t k")
    state.refuse_as_sign_in(passphrase)
    state.data |= {"sign": new_signing_key(), "seal": encode(secrets.token_bytes(32))}
    device = device_of(state)
    url = urlsplit(invited["s"])
    safe = url.scheme == "https" or (url.scheme == "http" and url.hostname in ("127.0.0.1", "::1", "localhost"))
    demand(safe, "INVITATION", "a service is spoken to over TLS")
    who = {"invitation": invited["i"], "person": invited["p"], "organization": invited["o"], "tier": invited["t"]}
    statement = device.state("cordon-enrolment+jws", who | device.public)
    secret = decode(invited["k"])
    certify = _derive(secret, "cordon invitation: certify")
    with httpx.Client(base_url=invited["s"], timeout=30) as http:
        server = _json(http.get("/v1/server"))
        demand(server["root"] == invited["r"], "ROOT", "the service has another root than the invitation names")
        state.data |= {
            "server": invited["s"],
            "root": invited["r"],
            "person": invited["p"],
            "organization": invited["o"],
            "tier": invited["t"],
            "directory": server["directory"],
            "logHost": server["logHost"],
            "logKeys": server["logKeys"],
            "checkpoints": {},
            "proven": [],
            "seen": [],
            "pending": {},
            "receipts": {},
        }
        # From here on the invitation may be used up: the device must be on the disk before.
        state.save()
        waits = http.post(
            "/v1/enrolments",
            json={
                "invitation": invited["i"],
                "authenticate": encode(_derive(secret, "cordon invitation: authenticate")),
                "statement": statement,
                "mac": encode(hmac.digest(certify, statement.encode(), hashlib.sha256)),
                "passphrase": passphrase,
            },
        )
    return str(_json(waits)["inviter"]["name"])


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
        token = self.state.data.get("session", {}).get("refreshToken")
        demand(token, "UNAUTHENTICATED", "sign in first")
        self._take(self._send("POST", "/v1/tokens", {"refreshToken": token}))

    def _take(self, tokens: Json) -> None:
        self._access, self._until = tokens["accessToken"], time.monotonic() + tokens["expiresIn"] - 30
        self.state.data["session"]["refreshToken"] = tokens["refreshToken"]
        self.state.save()

    def call(self, method: str, path: str, body: Json | None = None) -> Any:
        if time.monotonic() > self._until:
            self.refresh()
        return self._send(method, path, body, self._access)

    def _send(self, method: str, path: str, body: Json | None = None, token: str = "") -> Any:
        headers = {"DPoP": self._proof(method, path.split("?")[0], token)}
        if token:
            headers["Authorization"] = f"DPoP {token}"
        try:
            return _json(self._http.request(method, path, json=body, headers=headers))
        except httpx.TransportError as error:
            raise Refused("UNREACHABLE", str(error)) from error

    def _proof(self, method: str, path: str, token: str) -> str:
        key = self.state.data["session"]["key"]
        header = {"alg": "Ed25519", "typ": "dpop+jwt", "jwk": public_part(key)}
        claims = {"htm": method, "htu": self.url + path, "iat": int(time.time()), "jti": secrets.token_urlsafe(24)}
        if token:
            claims["ath"] = digest(token)
        return jws.serialize_compact(header, write(claims), OKPKey.import_key(key), algorithms=["Ed25519"])
