"""Every mistake in who may look at what is named by its key, and no secret is printed."""

from pathlib import Path
from typing import Any

import pytest

from apps.access.hashes import hash_password, hash_token
from components.config import ConfigError, Settings, load_values
from tests.unit.stacks import LAB, sections
from tests.unknown_key import UNKNOWN_KEY

SECRET = "of-the-client"
PROVIDER: dict[str, Any] = {
    "issuer": "https://login.example.org/realms/argus",
    "clientId": "argus",
    "clientSecret": SECRET,
    "roles": [{"value": "guards", "groups": ["yard"]}],
}
HASH, TOKEN = hash_password("correct horse battery"), hash_token("token")
GIVEN: dict[str, Any] = {
    "groups": {"yard": ["cam-0?", "cam-10"]},
    "users": {
        "anna": {"passwordHash": HASH, "groups": ["yard"]},
        "bert@example.org": {"passwordHash": HASH, "groups": ["all"], "role": "admin", "version": 3},
    },
    "tokens": {"shift": {"tokenHash": TOKEN, "groups": ["yard"], "role": "operator"}},
    "sessions": {"idleMinutes": 15, "absoluteHours": 8},
}


def load(tmp_path: Path, ui: dict[str, Any] | None = None, **access: Any) -> Settings:
    key = tmp_path / "key"
    key.write_text(UNKNOWN_KEY)
    values = sections(LAB, key)
    values["cameras"] = [{"name": f"cam-{number:02d}", "url": "synthetic://street"} for number in range(1, 13)]
    return load_values({**values, "ui": {**values.get("ui", {}), **(ui or {})}, "access": {**GIVEN, **access}})


def test_a_whole_section_is_read(tmp_path: Path) -> None:
    access = load(tmp_path).access
    assert access.users["anna"].role == "viewer"
    assert access.users["anna"].password_hash.get_secret_value() == HASH
    assert access.patterns == {"all": ("*",), "yard": ("cam-0?", "cam-10")}
    assert HASH not in repr(access) and TOKEN not in repr(access)


def test_none_is_needed(tmp_path: Path) -> None:
    access = load(tmp_path, groups={}, users={}, tokens={}, sessions={}).access
    assert (access.sessions.idle_minutes, access.sessions.absolute_hours) == (60, 12)


def anna(**changes: Any) -> dict[str, Any]:
    return {"users": {"anna": {**GIVEN["users"]["anna"], **changes}}}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            anna(passwordHash="letmein"),
            "access.users.anna.passwordHash: (secret): not the hash of a password; `python -m",
        ),
        (anna(passwordHash=TOKEN), "access.users.anna.passwordHash: (secret): not the hash of a password"),
        (anna(passwordHash=None), "access.users.anna.passwordHash: must be text; nothing is given"),
        (anna(groups=[]), "access.users.anna.groups: "),
        (anna(groups=["garden"]), "access.users.anna.groups: there is no group 'garden'; name one of all, yard"),
        (anna(role="root"), 'access.users.anna.role: "root": '),
        (anna(version=0), "access.users.anna.version: 0: "),
        (anna(password="letmein"), "access.users.anna.password: unknown key"),
        ({"users": {"an na": GIVEN["users"]["anna"]}}, 'access.users["an na"]: '),
        (
            {"tokens": {"shift": {"tokenHash": "letmein", "groups": ["all"]}}},
            "access.tokens.shift.tokenHash: (secret): not",
        ),
        (
            {"tokens": {"shift": {"tokenHash": TOKEN, "groups": ["x"]}}},
            "access.tokens.shift.groups: there is no group 'x'",
        ),
        ({"groups": {"all": ["cam-01"]}}, "access.groups.all: this is every camera in any stack"),
        ({"groups": {"yard": ["cam-99"]}}, "access.groups.yard: 'cam-99' is the name of no camera"),
        ({"groups": {"yard": ["cam[0-9]"]}}, "access.groups.yard[0]: "),
        ({"sessions": {"idleMinutes": 0}}, "access.sessions.idleMinutes: 0: "),
        ({"sessions": {"idleMinutes": 120, "absoluteHours": 1}}, "idleMinutes 120 is longer than absoluteHours 1"),
        ({"oauth": {}}, "access.oauth: unknown key"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, change: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load(tmp_path, **change)
    assert any(problem in found for found in raised.value.problems), raised.value.problems
    assert "letmein" not in str(raised.value)
    for secret in (HASH, TOKEN):
        assert secret not in str(raised.value)


def provider(**changes: Any) -> dict[str, Any]:
    given = {**PROVIDER, **changes}
    return {"openIdConnect": {key: value for key, value in given.items() if value is not None}}


def test_a_provider_is_read(tmp_path: Path) -> None:
    settings = load(tmp_path, {"tlsSecret": "page"}, **provider())
    given = settings.access.open_id_connect
    assert given is not None
    assert (given.issuer, given.port, given.claim) == (PROVIDER["issuer"], 443, "groups")
    assert given.scopes == ("openid", "profile", "email")
    assert given.client_secret.get_secret_value() == SECRET and SECRET not in repr(settings)
    assert [(each.value, each.role, each.groups) for each in given.roles] == [("guards", "viewer", ("yard",))]


@pytest.mark.parametrize(
    ("ui", "address"),
    [
        ({"tlsSecret": "page"}, "https://10.77.0.10:30080"),
        ({}, "https://10.77.0.10:30080"),
        ({"tlsSecret": "page", "url": "https://argus.example.org/"}, "https://argus.example.org"),
        ({"tls": "off", "url": "https://Argus.example.org:443"}, "https://argus.example.org"),
        ({"url": "https://argus.example.org:8443"}, "https://argus.example.org:8443"),
    ],
)
def test_the_page_s_own_address_is_its_url_or_the_virtual_ip(tmp_path: Path, ui: dict[str, Any], address: str) -> None:
    settings = load(tmp_path, ui, **provider())
    found = settings.ui.address(settings.cluster.endpoint)
    assert found == address.replace("10.77.0.10", str(settings.cluster.endpoint))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (provider(issuer="http://login.example.org"), "access.openIdConnect.issuer: "),
        (provider(issuer="login.example.org"), "must be the provider's https:// URL"),
        (provider(issuer="https://login.example.org/?x=1"), "an issuer has no ?"),
        (provider(issuer="https://me:letmein@login.example.org"), "a login does not belong in the URL"),
        (provider(issuer=None), "access.openIdConnect.issuer: "),
        (provider(clientId=""), "access.openIdConnect.clientId: "),
        (
            provider(clientSecret="letmein letmein"),
            "access.openIdConnect.clientSecret: (secret): a client's secret has",
        ),
        (provider(clientSecret=None), "access.openIdConnect.clientSecret: "),
        (provider(scopes=["profile"]), "scopes: openid is missing"),
        (provider(scopes=["openid email"]), "access.openIdConnect.scopes[0]: "),
        (provider(claim=""), "access.openIdConnect.claim: "),
        (provider(roles=[]), "access.openIdConnect.roles: "),
        (provider(roles=[{"value": "x", "groups": []}]), "access.openIdConnect.roles[0].groups: "),
        (
            provider(roles=[{"value": "x", "groups": ["garden"]}]),
            "access.openIdConnect.roles[0].groups: there is no group 'garden'; name one of all, yard",
        ),
        (provider(roles=[{"value": "x", "groups": ["all"], "role": "root"}]), "access.openIdConnect.roles[0].role: "),
        (provider(roles=2 * [{"value": "x", "groups": ["all"]}]), "the value 'x' is there more than once"),
        (provider(ca="letmein"), "access.openIdConnect.ca: "),
        (provider(password="letmein"), "access.openIdConnect.password: unknown key"),
    ],
)
def test_a_mistake_in_the_provider_is_named(tmp_path: Path, change: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load(tmp_path, {"tlsSecret": "page"}, **change)
    assert any(problem in found for found in raised.value.problems), raised.value.problems
    assert "letmein" not in str(raised.value) and SECRET not in str(raised.value)


@pytest.mark.parametrize(
    ("ui", "access", "problem"),
    [
        (
            {"tls": "off"},
            provider(),
            "access.openIdConnect: the page is served in plain, so whoever reads",
        ),
        ({"tls": "off"}, provider(), "take ui.tls: off out"),
        ({"tls": "off", "tlsSecret": "page"}, {}, "ui.tls: off, and yet ui.tlsSecret page is the page's certificate"),
        ({"tls": "other"}, {}, "ui.tls: "),
        ({"tls": "off", "tlsNames": ["argus.example.org"]}, {}, "ui.tlsNames: only for a certificate that Argus makes"),
        ({"tlsRedraw": "x", "tlsSecret": "page"}, {}, "ui.tlsRedraw: only for a certificate that Argus makes"),
        ({"tlsNames": ["*.example.org"]}, {}, "ui.tlsNames[0]: "),
        ({"tlsNames": ["$(id)"]}, {}, "ui.tlsNames[0]: "),
        ({"tlsNames": ["300.0.0.1"]}, {}, "ui.tlsNames[0]: "),
        ({"url": "http://argus.example.org"}, {}, "ui.url: http://argus.example.org is never"),
        ({"tls": "off", "url": "http://argus.example.org"}, provider(), "give ui.url with https:// instead of"),
        ({"url": "http://argus.example.org", "tlsSecret": "page"}, {}, "ui.url: http://argus.example.org is never"),
        ({"url": "argus.example.org"}, {}, "ui.url: "),
        ({"url": "https://argus.example.org/page"}, {}, "must be https://name[:port], without a path"),
        ({"url": "https://me:letmein@argus.example.org"}, {}, "a login does not belong in the URL"),
    ],
)
def test_a_mistake_in_the_page_s_address_is_named(
    tmp_path: Path, ui: dict[str, Any], access: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        load(tmp_path, ui, **access)
    assert any(problem in found for found in raised.value.problems), raised.value.problems
    assert "letmein" not in str(raised.value)


def test_without_openssl_there_is_no_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="install openssl"):
        load(tmp_path, {})
