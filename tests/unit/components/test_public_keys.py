"""Public keys as text: which are accepted, and that fingerprints are those that OpenSSL prints."""

import hashlib
import subprocess

import pytest

from components.public_keys import check_public_key, fingerprint
from tests.signers import KEY, PRIVATE_KEY


@pytest.mark.parametrize(
    "kind", [("EC", "-pkeyopt", "ec_paramgen_curve:P-256"), ("RSA", "-pkeyopt", "rsa_keygen_bits:2048"), ("ed25519",)]
)
def test_a_key_is_taken_as_its_file_has_it_and_known_by_openssl_s_fingerprint(kind: tuple[str, ...]) -> None:
    private = subprocess.run(
        ["openssl", "genpkey", "-algorithm", *kind], check=True, capture_output=True, text=True
    ).stdout
    public = subprocess.run(
        ["openssl", "pkey", "-pubout"], input=private, check=True, capture_output=True, text=True
    ).stdout
    assert check_public_key(f"a comment\n{public}\n") == public
    der = subprocess.run(
        ["openssl", "pkey", "-pubin", "-outform", "DER"], input=public.encode(), check=True, capture_output=True
    ).stdout
    assert fingerprint(public) == hashlib.sha256(der).hexdigest()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "has 0 public keys"),
        (KEY + KEY, "has 2 public keys"),
        (KEY.replace("MFkw", "MFk"), "is no key, or not all of it"),
        (KEY.replace("zbw==", "z"), "is no key, or not all of it"),
        (KEY.replace("\nPcxQ", "\n"), "is no key, or not all of it"),
        ("-----BEGIN PUBLIC KEY-----\n\n-----END PUBLIC KEY-----", "is no key, or not all of it"),
        (PRIVATE_KEY, "this is a private key"),
    ],
)
def test_anything_else_is_refused_with_the_remedy(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says) as refused:
        check_public_key(text)
    assert "cosign generate-key-pair" in str(refused.value)
    assert "hush" not in str(refused.value)
