"""Host keys as text: which are accepted, and that fingerprints are those that OpenSSH shows."""

import subprocess
from pathlib import Path

import pytest

from components.ssh_keys import another_key, check_host_key, fingerprint, preferred
from tests.unit.components.host_keys import host_key


@pytest.mark.parametrize("type_", ["ecdsa", "ed25519"])
def test_a_key_is_taken_as_its_file_has_it(type_: str, tmp_path: Path) -> None:
    file = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", type_, "-N", "", "-C", "root@host one", "-f", file], check=True)
    key = check_host_key(file.with_suffix(".pub").read_text())
    assert key == file.with_suffix(".pub").read_text().removesuffix(" root@host one\n")
    printed = subprocess.run(["ssh-keygen", "-lf", file], check=True, capture_output=True, text=True).stdout.split()
    assert fingerprint(key) == f"{printed[1]} {printed[-1]}"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "begins with none of"),
        ("ssh-rsa AAAAB3NzaC1yc2E=", "begins with none of"),
        (f"192.0.2.1 {host_key('cp1')}", "begins with none of"),
        ("ssh-ed25519", "is no key of that type"),
        ("ssh-ed25519 cp1", "is no key of that type"),
        (host_key("cp1").replace("ecdsa-sha2-nistp256", "ssh-ed25519"), "is no key of that type"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk=", "this is a private key"),
    ],
)
def test_anything_else_is_refused_with_the_remedy(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says) as refused:
        check_host_key(text)
    assert "/etc/ssh/ssh_host_ecdsa_key.pub" in str(refused.value)
    assert "b3BlbnNzaC1rZXk" not in str(refused.value)


def test_a_machine_is_known_by_the_wanted_kind_if_it_has_one() -> None:
    both = [host_key("cp1"), host_key("cp1", "ssh-ed25519")]
    assert preferred(both, "ECDSA") == both[0]
    assert preferred(both, "ED25519") == both[1]
    assert preferred(both[1:], "ECDSA") == both[1]
    with pytest.raises(ValueError, match="no ECDSA or Ed25519 host key"):
        preferred([], "ECDSA")


def test_another_key_is_told_by_the_fingerprints_of_one_kind() -> None:
    shown = [host_key("new", "ssh-ed25519"), host_key("new")]
    text = another_key(host_key("old"), shown)
    assert f"shows the SSH host key {fingerprint(shown[1])}, but is known by {fingerprint(host_key('old'))}" in text
    assert "/etc/ssh/ssh_host_ecdsa_key.pub" in text
