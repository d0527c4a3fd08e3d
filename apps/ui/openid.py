"""Asks a provider of OpenID Connect who somebody is: the authorization code flow with PKCE, state and nonce.

joserfc checks the ID token's signature and claims. Nothing that the provider answers is logged.
"""

import asyncio
import base64
import contextlib
import hashlib
import json
import secrets
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote_plus

import certifi
import httpx
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from pydantic import BaseModel, Field, ValidationError

from apps.access.document import CALLBACK_PATH, OpenIdConnect
from apps.service.settings import mistakes

DISCOVERY_PATH: Final = "/.well-known/openid-configuration"

ANSWER_SECONDS: Final = 10.0
"""What one step of a login asks of the provider takes this long at most, all together."""

KEPT_SECONDS: Final = 3600.0
"""The provider's description of itself is asked for again after this long."""

KEYS_SECONDS: Final = 60.0
"""Its keys are asked for again no sooner than this, however many unknown ones are named."""

PAUSE_SECONDS: Final = 5.0
"""After a failure the provider is left alone for this long."""

LEEWAY_SECONDS: Final = 60
"""How far the provider's clock may be off."""

MAX_ANSWER: Final = 2**20
"""The longest answer that is read (bytes)."""

MAX_SUBJECT: Final = 255
MAX_NAME: Final = 100

ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Of signatures; never `none`, nor one by the client's secret."""

Https = Field(pattern=r"^https://[^\s]+$", max_length=2000)


class OpenIdError(Exception):
    """Why a login is refused, for whoever logs in; it has no secret."""


class UnavailableError(OpenIdError):
    """The provider does not answer, or not as OpenID Connect says."""


class Metadata(BaseModel):
    """What Argus needs of the provider's description of itself (OpenID Connect Discovery 1.0)."""

    issuer: str
    authorization_endpoint: str = Https
    token_endpoint: str = Https
    jwks_uri: str = Https
    userinfo_endpoint: str | None = Field(None, pattern=r"^https://[^\s]+$", max_length=2000)
    end_session_endpoint: str | None = Field(None, pattern=r"^https://[^\s]+$", max_length=2000)
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)


@dataclass(frozen=True, kw_only=True)
class Transaction:
    """A login that has begun. The browser keeps it, signed, until it comes back from the provider."""

    state: str
    nonce: str
    verifier: str
    """The secret whose hash is the PKCE challenge."""

    @property
    def challenge(self) -> str:
        """What the provider is told of the verifier (RFC 7636, S256)."""
        return base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).decode().rstrip("=")

    @classmethod
    def begin(cls) -> "Transaction":
        """A new one."""
        return cls(state=secrets.token_urlsafe(24), nonce=secrets.token_urlsafe(24), verifier=secrets.token_urlsafe(48))


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Who somebody is, by the provider's word."""

    subject: str
    name: str
    values: tuple[str, ...]
    """Of the claim with the groups or roles."""


class Provider:
    """One provider, as the access file describes it. For one event loop."""

    def __init__(
        self,
        given: OpenIdConnect,
        clock: Callable[[], float] = time.monotonic,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """`transport` is another way than the network."""
        self.given, self._clock, self._transport = given, clock, transport
        self._metadata: Metadata | None = None
        self._keys: KeySet | None = None
        self._metadata_at = self._keys_at = self._failed_at = float("-inf")
        self._failure = ""
        self._asking = asyncio.Lock()

    async def authorization_url(self, transaction: Transaction) -> str:
        """Where the browser goes to log in. Raises OpenIdError."""
        async with self._step(), self._client() as client:
            metadata = await self._described(client)
            asked = {
                "response_type": "code",
                "client_id": self.given.client_id,
                "redirect_uri": self._redirect_uri,
                "scope": " ".join(self.given.scopes),
                "state": transaction.state,
                "nonce": transaction.nonce,
                "code_challenge": transaction.challenge,
                "code_challenge_method": "S256",
            }
            return str(httpx.URL(metadata.authorization_endpoint).copy_merge_params(asked))

    async def identify(self, transaction: Transaction, code: str) -> Identity:
        """Who has logged in: what the provider gives for the code that the browser brought back. Raises OpenIdError."""
        async with self._step(), self._client() as client:
            metadata = await self._described(client)
            token = await self._token(client, metadata, transaction, code)
            claims = await self._verified(client, metadata, token.get("id_token"), transaction.nonce)
            subject = claims["sub"]
            values, name = (read_claim(claims, claim) for claim in (self.given.claim, self.given.name_claim))
            if (values is None or name is None) and metadata.userinfo_endpoint:
                more = await self._user_info(client, metadata.userinfo_endpoint, token, subject)
                values = values if values is not None else read_claim(more, self.given.claim)
                name = name if name is not None else read_claim(more, self.given.name_claim)
            shown = "".join(each for each in (name or ("",))[0] if each.isprintable())[:MAX_NAME].strip()
            return Identity(subject=subject, name=shown or subject[:MAX_NAME], values=values or ())

    async def end_session_url(self) -> str | None:
        """Where the browser goes to log out at the provider too; None if there is no such place. Raises OpenIdError."""
        async with self._step(), self._client() as client:
            end = (await self._described(client)).end_session_endpoint
            return str(httpx.URL(end).copy_merge_params({"client_id": self.given.client_id})) if end else None

    @contextlib.asynccontextmanager
    async def _step(self) -> AsyncIterator[None]:
        """Whatever is asked within takes ANSWER_SECONDS at most; every failure becomes an OpenIdError."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                yield
        except TimeoutError:
            raise UnavailableError(f"{self.given.label} did not answer within {ANSWER_SECONDS:g} s") from None
        except httpx.HTTPError as failed:
            raise UnavailableError(f"{self.given.label} does not answer ({failed or type(failed).__name__})") from None
        except ValidationError as invalid:
            raise self._unusable(mistakes(invalid)) from None
        except (ValueError, TypeError, KeyError, RecursionError, httpx.InvalidURL):
            # The message may have a part of the answer.
            raise self._unusable("its answer is not what OpenID Connect says") from None

    def _client(self) -> httpx.AsyncClient:
        """A client whose connections are closed with it; logins are rare."""
        return httpx.AsyncClient(
            verify=trust(self.given),
            # Longer than the whole step, whose end is what counts.
            timeout=2 * ANSWER_SECONDS,
            transport=self._transport,
            trust_env=False,
            follow_redirects=False,
        )

    @property
    def _redirect_uri(self) -> str:
        return self.given.page + CALLBACK_PATH

    async def _described(self, client: httpx.AsyncClient) -> Metadata:
        """The provider's description of itself, asked for once in a while, by one request at a time."""
        async with self._asking:
            now = self._clock()
            if self._metadata is not None and now - self._metadata_at < KEPT_SECONDS:
                return self._metadata
            if now - self._failed_at < PAUSE_SECONDS:
                raise UnavailableError(self._failure)
            self._failure = f"{self.given.label} did not answer a moment ago; try again in {PAUSE_SECONDS:g} s"
            try:
                async with self._step():
                    found = await self._document(client, self.given.issuer.rstrip("/") + DISCOVERY_PATH)
                    metadata = Metadata.model_validate(found)
                if metadata.issuer != self.given.issuer:
                    raise self._unusable(
                        f"it calls itself {shortened(metadata.issuer)!r}, not {self.given.issuer!r}; whoever keeps "
                        "this page sets argus:access.openIdConnect.issuer"
                    )
            except OpenIdError as failed:
                self._failure = str(failed)
                raise
            finally:
                # Also where the step's time was over.
                self._failed_at = self._clock()
            self._failed_at = float("-inf")
            self._metadata, self._metadata_at = metadata, self._clock()
            return metadata

    async def _token(
        self, client: httpx.AsyncClient, metadata: Metadata, transaction: Transaction, code: str
    ) -> Mapping[str, Any]:
        given = self.given
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect_uri,
            "code_verifier": transaction.verifier,
        }
        auth = None
        if "client_secret_basic" in metadata.token_endpoint_auth_methods_supported:
            # Both are form-encoded first (RFC 6749, 2.3.1).
            auth = httpx.BasicAuth(quote_plus(given.client_id), quote_plus(given.client_secret))
        else:
            form |= {"client_id": given.client_id, "client_secret": given.client_secret}
        request = client.build_request(
            "POST", metadata.token_endpoint, data=form, headers={"Accept": "application/json"}
        )
        status, content = await self._answer(client, request, auth)
        if 400 <= status < 500:
            with contextlib.suppress(ValueError):
                told = json.loads(content)
                if isinstance(told, dict) and "error" in told:
                    why = told.get("error_description") or told["error"]
                    raise OpenIdError(f"{given.label} refused the login: {shortened(why)}")
        if status != httpx.codes.OK:
            raise self._unusable(f"it answered {status}")
        return dict(json.loads(content))

    async def _verified(
        self, client: httpx.AsyncClient, metadata: Metadata, id_token: object, nonce: str
    ) -> Mapping[str, Any]:
        """The claims of the ID token, if the provider signed it for this client and this login, just now."""
        if not isinstance(id_token, str):
            raise self._unusable("it gave no ID token; whoever keeps this page sees that scopes have openid")
        try:
            claims = await self._decoded(client, metadata, id_token)
            jwt.JWTClaimsRegistry(
                leeway=LEEWAY_SECONDS,
                iss={"essential": True, "value": self.given.issuer},
                sub={"essential": True},
                aud={"essential": True, "value": self.given.client_id},
                exp={"essential": True},
                iat={"essential": True},
                nonce={"essential": True, "value": nonce},
            ).validate(claims)
        except JoseError as wrong:
            raise self._unusable(f"its ID token is not good ({wrong.error})") from None
        audience, party = claims["aud"], claims.get("azp")
        if party not in (None, self.given.client_id) or (
            party is None and isinstance(audience, list) and len(audience) > 1
        ):
            raise self._unusable("its ID token is for another client (azp)")
        if not isinstance(claims["sub"], str) or not 0 < len(claims["sub"]) <= MAX_SUBJECT:
            raise self._unusable(f"its ID token has a subject that is no text of at most {MAX_SUBJECT} characters")
        return claims

    async def _decoded(self, client: httpx.AsyncClient, metadata: Metadata, id_token: str) -> dict[str, Any]:
        """The claims under a right signature. Keys that the provider has just changed are asked for once more."""
        for last in (False, True):
            if self._keys is None or (last and self._clock() - self._keys_at >= KEYS_SECONDS):
                self._keys = _signers(await self._document(client, metadata.jwks_uri))
                self._keys_at = self._clock()
            try:
                return dict(jwt.decode(id_token, self._keys, algorithms=list(ALGORITHMS)).claims)
            except (JoseError, ValueError):
                if last:
                    raise
        raise AssertionError

    async def _user_info(
        self, client: httpx.AsyncClient, endpoint: str, token: Mapping[str, Any], subject: str
    ) -> Mapping[str, Any]:
        told = await self._document(client, endpoint, Authorization=f"Bearer {token['access_token']}")
        if not isinstance(told, dict) or told.get("sub") != subject:
            raise self._unusable("its userinfo is somebody else's")
        return told

    async def _document(self, client: httpx.AsyncClient, url: str, **headers: str) -> Any:
        """The JSON at a URL."""
        status, content = await self._answer(client, client.build_request("GET", url, headers=headers))
        if status != httpx.codes.OK:
            raise self._unusable(f"it answered {status}")
        return json.loads(content)

    async def _answer(
        self, client: httpx.AsyncClient, request: httpx.Request, auth: httpx.Auth | None = None
    ) -> tuple[int, bytes]:
        """Status and content of an answer, of at most MAX_ANSWER bytes."""
        content = b""
        answer = await client.send(request, auth=auth, stream=True)
        try:
            async for part in answer.aiter_bytes():
                content += part
                if len(content) > MAX_ANSWER:
                    raise self._unusable(f"its answer is longer than {MAX_ANSWER} bytes")
        finally:
            await answer.aclose()
        return answer.status_code, content

    def _unusable(self, why: str) -> UnavailableError:
        return UnavailableError(f"{self.given.label} cannot be used: {why}")


def trust(given: OpenIdConnect) -> ssl.SSLContext:
    """Whom to believe that a server is the provider's."""
    return ssl.create_default_context(cadata=given.ca, cafile=None if given.ca else certifi.where())


def _signers(told: Mapping[str, Any]) -> KeySet:
    """The public keys that sign. Others that a provider shows, or kinds that are not known here, do not matter."""
    keys = [key for key in told["keys"] if key.get("kty") in ("RSA", "EC", "OKP") and key.get("use", "sig") == "sig"]
    return KeySet.import_key_set({"keys": keys})


def read_claim(claims: Mapping[str, Any], name: str) -> tuple[str, ...] | None:
    """The texts of a claim, or of one inside others by a name with dots; None if there is none."""
    found: object = claims
    if name in claims:
        found = claims[name]
    else:
        for part in name.split("."):
            if not isinstance(found, Mapping) or part not in found:
                return None
            found = found[part]
    if isinstance(found, str):
        return (found,)
    return tuple(each for each in found if isinstance(each, str)) if isinstance(found, list) else ()


def shortened(text: object) -> str:
    """Text of somebody else, as it may be shown in a line."""
    return "".join(each for each in str(text) if each.isprintable())[:200]
