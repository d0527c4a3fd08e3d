"""Hashes of passwords and tokens."""

import pytest

from apps.access.hashes import (
    check_hash,
    check_password_hash,
    check_token_hash,
    hash_password,
    hash_token,
    new_token,
    verify,
)


def test_a_password_has_its_hash_alone() -> None:
    stored = hash_password("correct horse")
    assert "horse" not in stored
    assert verify("correct horse", stored)
    assert not verify("correct horse ", stored)
    assert hash_password("correct horse") != stored, "each has its own salt"
    assert check_password_hash(stored) == check_hash(stored) == stored


def test_letters_outside_ascii_count() -> None:
    assert verify("früh 朝", hash_password("früh 朝"))


def test_a_token_has_its_hash_alone() -> None:
    token = new_token()
    assert len(token) >= 43 and token != new_token()
    assert verify(token, hash_token(token)) and not verify(f"{token}x", hash_token(token))
    assert check_token_hash(hash_token(token)) == hash_token(token)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "secret",
        "sha256$" + "0" * 64,
        "scrypt$14$8$5$c2FsdA==",
        "scrypt$30$8$5$c2FsdA==$a2V5",  # a gigabyte a login
        "scrypt$14$8$99$c2FsdA==$a2V5",
        "scrypt$1$8$5$c2FsdA==$a2V5",
    ],
)
def test_what_is_no_hash_of_a_password_is_refused_with_the_remedy(text: str) -> None:
    with pytest.raises(ValueError, match=r"components\.config\.password"):
        check_password_hash(text)


@pytest.mark.parametrize("text", ["", "token", "sha256$12", "sha256$" + "G" * 64])
def test_what_is_no_hash_of_a_token_is_refused_with_the_remedy(text: str) -> None:
    with pytest.raises(ValueError, match="--token"):
        check_token_hash(text)
    assert not verify(text, text)
