"""Every mistake in `argus:ui.acme` is named by its key with the remedy, and no secret is printed."""

from pathlib import Path
from typing import Any

import pytest

from components.config import ConfigError
from tests.certificates import certificate
from tests.unit.components.config.test_access import load

SECRET = "hush-hush"
GIVEN: dict[str, Any] = {
    "server": "https://acme.example.org:14000/directory",
    "names": ["cameras.example.org", "argus.example.org"],
    "dnsProvider": "dnsupdate",
    "options": {"DNSUPDATE_NAMESERVER": "192.0.2.53", "HTTPS_PROXY": "http://proxy.example.org:3128"},
    "credentials": {"DNSUPDATE_TSIG_SECRET": SECRET},
    "ports": [8081, 443],
    "waitSeconds": 60,
    "externalAccount": {"keyId": "argus", "hmac": SECRET},
}
URL = "https://argus.example.org:30080"


def test_a_whole_section_is_read(tmp_path: Path) -> None:
    ui = load(tmp_path, {"url": URL, "acme": GIVEN}).ui
    assert ui.acme_names == ("argus.example.org", "cameras.example.org")
    assert ui.acme is not None and ui.acme.outside_ports == (443, 8081, 14000)
    assert SECRET not in repr(ui)
    assert SECRET not in str(ui.acme.lego_variables)
    assert ui.acme.lego_secrets == {"DNSUPDATE_TSIG_SECRET": SECRET, "LEGO_EAB_HMAC": SECRET}


def test_the_least_is_a_server_and_a_provider(tmp_path: Path) -> None:
    least = {"server": "https://acme.example.org/directory", "dnsProvider": "route53"}
    acme = load(tmp_path, {"url": URL, "acme": least}).ui.acme
    assert acme is not None
    assert (acme.lego_variables, acme.lego_secrets, acme.outside_ports) == ({}, {}, (443,))


@pytest.mark.parametrize(
    ("ui", "problem"),
    [
        ({"url": None}, "ui.acme: an ACME server certifies DNS names; give ui.url"),
        ({"url": "https://192.0.2.10"}, "ui.acme: an ACME server certifies DNS names; give ui.url"),
        ({"tlsSecret": "page-tls"}, "ui.acme: only beside a certificate that Argus makes; take ui.tlsSecret out"),
        ({"tls": "off"}, "ui.acme: only beside a certificate that Argus makes; take ui.tls: off out"),
    ],
)
def test_it_needs_a_page_with_a_name_and_argus_s_own_certificate(
    tmp_path: Path, ui: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        load(tmp_path, {"url": URL, "acme": GIVEN, **ui})
    assert problem in str(refused.value)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"server": "http://acme.example.org/directory"}, "ui.acme.server: must be the https:// URL"),
        (
            {"server": "https://user:pw@acme.example.org/directory"},
            "ui.acme.server: a login does not belong in the URL",
        ),
        ({"server": "acme.example.org"}, "ui.acme.server: must be the https:// URL"),
        ({"email": "nobody"}, "ui.acme.email: "),
        ({"names": ["192.0.2.10"]}, "ui.acme.names[0]: 192.0.2.10 is an address"),
        ({"names": ["*.example.org"]}, "ui.acme.names[0]: must be a DNS name"),
        ({"dnsProvider": "Route 53"}, "ui.acme.dnsProvider: is no DNS provider; did you mean route53?"),
        ({"dnsProvider": "rfc2136"}, "ui.acme.dnsProvider: is no DNS provider; did you mean dnsupdate?"),
        ({"dnsProvider": "registrar of ours"}, "ui.acme.dnsProvider: is none of the DNS providers in"),
        # They need a person, or a program that is not in the image.
        ({"dnsProvider": "manual"}, "ui.acme.dnsProvider: is none of the DNS providers in"),
        ({"dnsProvider": "exec"}, "ui.acme.dnsProvider: is none of the DNS providers in"),
        ({"options": {"LEGO_TLS_SKIP_VERIFY": "true"}}, "'LEGO_TLS_SKIP_VERIFY' is no variable of a DNS provider"),
        ({"options": {"PATH": "/tmp"}}, "'PATH' is no variable of a DNS provider"),
        ({"credentials": {"ARGUS_SERVER": SECRET}}, "'ARGUS_SERVER' is no variable of a DNS provider"),
        ({"credentials": {"token": SECRET}}, "'token' is no variable of a DNS provider"),
        ({"credentials": {"DNSUPDATE_NAMESERVER": SECRET}}, "DNSUPDATE_NAMESERVER is in options and in credentials"),
        ({"ports": [0]}, "ui.acme.ports[0]: "),
        ({"waitSeconds": 0}, "ui.acme.waitSeconds: "),
        ({"ca": "no certificate"}, "ui.acme.ca: "),
        ({"externalAccount": {"keyId": "argus"}}, "ui.acme.externalAccount.hmac: "),
        ({"externalAccount": {"keyId": "", "hmac": SECRET}}, "ui.acme.externalAccount.keyId: "),
        ({"dnsprovider": "dnsupdate"}, "ui.acme.dnsprovider: "),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, change: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load(tmp_path, {"url": URL, "acme": {**GIVEN, **change}})
    key, _, why = problem.rpartition(": ")
    assert len(refused.value.problems) == 1
    assert key in str(refused.value) and why in str(refused.value)
    assert SECRET not in str(refused.value)


def test_a_private_authority_is_read(tmp_path: Path) -> None:
    text = (certificate(tmp_path / "made", "step") / "tls.crt").read_text()
    acme = load(tmp_path, {"url": URL, "acme": {**GIVEN, "ca": text}}).ui.acme
    assert acme is not None and acme.ca == text
