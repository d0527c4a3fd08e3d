"""A person who mistypes a key or a value is told which, of which camera or machine, and what to write instead."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pydantic import SecretStr

from components import engine
from components.config import ConfigError, Settings, load, load_values, stack_file
from components.config.forms import check_recipient
from components.config.structure import field_at, fields_of, section_in
from tests.unit.components.config.test_config import Values, both, change, private_key, problems_of, values
from tests.unit.components.host_keys import host_key

__all__ = ["values"]

QUOTES = "must be text, so put it in quotes"
MEMBERS = "must have keys of its own: minimum, maximum, targetLagSeconds, coolDownSeconds"
RECIPIENT = "age1lggyhqrw2nlhcxprm67z43rta597azn8gknawjehu9d9dl0jq3yqqvfafg"


def copies(**changed: str) -> Any:
    """Backups that are copied to another host."""
    given = {"copyTo": "backup@vault.example.com:/srv/argus", "copyHostKey": host_key("vault"), **changed}
    return change("backup", {"recipients": [RECIPIENT], **given})


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        # Keys.
        (change("kafka.volumeGib", 3), "kafka.volumeGib: unknown key; did you mean volumeGiB? docs/config.md has all"),
        (change("ssh.private_key_file", "x"), "ssh.private_key_file: unknown key; did you mean privateKeyFile?"),
        (change("camera", []), "camera: unknown key; did you mean cameras?"),
        (change("cameras.3.fps", 2), "cameras[3].fps: of cam-04: unknown key; the keys here are name, url, framesPer"),
        (change("cameras.3.password", "hush"), "of cam-04: unknown key; the login of a camera is in argus:cameraCred"),
        (change("models.0.contract", {"name": ["x"]}), "models[0].contract.name: of objects: unknown key; did you"),
        (
            change("cameraCredentials", {"cam-01": {"username": "u"}}),
            "cameraCredentials.cam-01.password: required and missing; `pulumi config set --secret --path "
            "'argus:cameraCredentials.cam-01.password'` asks for it",
        ),
        # Kinds of values.
        (change("kafka", None), "kafka: must have keys of its own: replicas, heapMiB"),
        (change("machines.workers", None), "workers: must be a list, each entry behind `- `; nothing is given"),
        (change("cameras", {"gate": {}}), "cameras: (not shown: it may hold a login): must be a list, each entry"),
        (change("access", {"groups": {"yard": "cam-*"}}), 'access.groups.yard: "cam-*": must be a list, as `[one, an'),
        (change("models.0.executors", 3), f"models[0].executors: of objects: 3: {MEMBERS}"),
        (change("access.users", ["anna"]), "access.users: (secret): must be a map, as `name: value`"),
        (change("cameras", []), "must have at least one entry"),
        (change("cluster.kubernetesVersion", 1.36), f"cluster.kubernetesVersion: 1.36: {QUOTES}"),
        (
            change("cameraCredentials", {"cam-01": {"username": 1234, "password": "hush"}}),
            f"cameraCredentials.cam-01.username: (secret): {QUOTES} (`pulumi config set` needs `--type string`",
        ),
        (change("kafka.volumeGiB", "200Gi"), 'kafka.volumeGiB: "200Gi": must be a whole number, without a unit'),
        (change("cameras.1.framesPerSecond", "2,5"), 'of cam-02: "2,5": must be a number, with a point before its'),
        (change("audit", {"ship": "ja"}), 'audit.ship: "ja": must be true or false'),
        (change("models.0.weights", 5), "models[0].weights: of objects: 5: must be a path, as text"),
        # Forms of texts.
        (change("cameras.1.name", "Yard 2"), 'cameras[1].name: "Yard 2": must be 1 to 40 small letters (a-z), digits'),
        (change("cluster.kubernetesVersion", "v1.36.1"), 'must be three numbers, such as 1.36.1, without a v'),
        (change("machines.workers.0.address", "10.77.0.21/24"), "must be one address, 10.77.0.21, without the length"),
        (change("cluster.podNetwork", "10.244.0.1/16"), "must be a network, 10.244.0.0/16, and not an address in it"),
        (
            change("images.registry", "registry.example.com/Video"),
            "images.registry: \"registry.example.com/Video\": must be host[:port][/path], the path in small letters",
        ),
        (change("ssh.bastion", {"host": "a.example:22", "hostKey": host_key("a")}), "must be a name or IPv4 address"),
        (
            change("ui", {"url": "https://a.example", "acme": {"email": "me"}}),
            'ui.acme.email: "me": must be an address such as cameras@example.com',
        ),
        (change("backup", {"schedule": "0 3 * * *"}), "must be a time as systemd writes it, not as cron does: hourly"),
        (change("backup", {"schedule": "every hour"}), 'backup.schedule: "every hour": must be a time as systemd'),
        (change("models.0.weights", "~nobody-here/best.pt"), "this computer knows no home folder of ~nobody-here"),
        (change("cluster.network.manifest", "~nobody-here/cni.yaml"), "manifest: this computer knows no home"),
        # Keys of other programs.
        (change("ssh.privateKey", "hush"), "ssh: set exactly one of privateKeyFile"),
        (
            both(change("ssh", {}), change("ssh.privateKey", "ssh-ed25519 AAAA")),
            "ssh.privateKey: holds no private key (-----BEGIN … PRIVATE KEY-----); of a pair that ssh-keygen makes it",
        ),
        (change("ssh.privateKeyFile", "/bin/sh"), "ssh.privateKeyFile: /bin/sh is no text; name the private key"),
        (change("ssh.privateKeyFile", "/dev"), "ssh.privateKeyFile: /dev is no file"),
        (change("images.signing", {"privateKeyFile": "/bin/sh"}), "images.signing.privateKeyFile: /bin/sh is no text"),
        (copies(copyKey="ssh-ed25519 AAAA"), "backup.copyKey: holds no private key"),
        (copies(copyKey=""), "backup.copyKey: holds no private key"),
        (copies(copyKey=private_key("hush")), "backup.copyKey: has a passphrase, which nobody types on the machines"),
        (copies(copyTo="vault.example.com:/srv"), 'backup.copyTo: "vault.example.com:/srv": must be user@host:/abs'),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_what_to_write(edit: Any, expected: str, values: Values) -> None:
    edit(values)
    found = problems_of(values)
    assert any(expected in problem for problem in found), found
    assert "hush" not in "\n".join(found)


@pytest.mark.parametrize("schedule", ["daily", "03:00", "*-*-* 03:00", "Mon *-*-* 03:00:00 Europe/Berlin", "*:0/15"])
def test_a_schedule_of_systemd_s_is_taken(schedule: str, values: Values) -> None:
    values["backup"] = {"schedule": schedule}
    assert load_values(values).backup.schedule == schedule


def test_an_empty_file_holds_no_key(values: Values, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("")
    (problem,) = problems_of(values)
    assert problem.startswith("ssh.privateKeyFile: ") and " is empty; name the private key" in problem


def test_a_list_whose_only_entry_is_a_mistake_is_not_called_empty(values: Values) -> None:
    values["models"] = [{"name": "alone", "kind": "python"}]
    assert problems_of(values) == ("models[0]: of alone: a model of kind python needs code, the folder of its module",)


def test_weights_that_are_neither_a_name_nor_a_path_are_told_once(values: Values) -> None:
    values["models"][0]["weights"] = 5
    assert problems_of(values) == ("models[0].weights: of objects: 5: must be a path, as text",)


def test_a_registry_may_end_in_a_slash(values: Values) -> None:
    values["images"]["registry"] = "registry.example.com/video/"
    assert load_values(values).images.built("ui") == "registry.example.com/video/argus/ui"


def test_a_word_that_a_parser_reads_as_false_is_off(values: Values) -> None:
    values["ui"] = {"tls": False}
    assert load_values(values).ui.tls == "off"


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ("AGE-SECRET-KEY-1HUSH", "this is a private key, which is no longer secret"),
        (f"{RECIPIENT[:-1]}q", "the checksum in this key is wrong"),
        (RECIPIENT.replace("lggy", "lgyg"), "the checksum in this key is wrong"),
        (RECIPIENT[:-1], "this is no public key of age"),
        ("ssh-ed25519 AAAA", "this is no public key of age"),
    ],
)
def test_what_is_no_key_of_age_is_refused_and_not_printed(key: str, problem: str, values: Values) -> None:
    copies(copyKey=private_key(""))(values)
    values["backup"]["recipients"] = [key]
    (found,) = problems_of(values)
    assert found.startswith(f"backup.recipients[0]: (secret): {problem}")
    assert key not in found


@pytest.mark.parametrize("key", [RECIPIENT, "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa"])
def test_a_key_of_age_is_taken(key: str) -> None:
    assert check_recipient(key) == key


def secrets(section: type[Any], *above: str) -> Iterator[tuple[str, ...]]:
    """The place of every secret of a section; entries of lists and maps are called `any`."""
    for key, field in fields_of(section).items():
        place = (*above, key)
        inner = section_in(field.annotation)
        if inner is None and "SecretStr" in str(field.annotation):
            yield place
        elif inner is not None:
            yield from secrets(inner, *place, *(["any"] if "dict[" in str(field.annotation) else []))


PLACES = ["/".join(place) for place in secrets(Settings)]


def test_no_field_says_its_form_by_a_regular_expression() -> None:
    def shown(section: type[Any]) -> Iterator[str]:
        for key, field in fields_of(section).items():
            if re.search(r"pattern=(?!None)", f"{field.annotation}{field.metadata}"):
                yield key
            if (inner := section_in(field.annotation)) is not None:
                yield from shown(inner)

    assert list(shown(Settings)) == []


def test_there_are_secrets() -> None:
    assert {"cameraCredentials/any/password", "ui/acme/credentials", "backup/copyKey"} <= set(PLACES)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("value", [["GEHEIM"], "GEHEIM", 7654321])
def test_no_secret_is_printed_wherever_a_wrong_value_stands(place: str, value: object, values: Values) -> None:
    parts = place.split("/")
    for depth in range(1, len(parts) + 1):
        given: Values = {**values, parts[0]: value}
        for number in range(1, depth):
            inner = value
            for part in reversed(parts[1 : number + 1]):
                inner = {part: inner}
            given[parts[0]] = inner
        with pytest.raises(ConfigError) as refused:
            load_values(given)
        for said in ("GEHEIM", "7654321"):
            assert said not in str(refused.value)


@pytest.mark.parametrize("key", ["argu:kafka", "Argus:kafka", "agrus:kafka"])
def test_a_key_of_a_misspelt_project_is_not_left_out_in_silence(
    key: str, values: Values, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {f"argus:{name}": json.dumps(section) for name, section in values.items()}
    monkeypatch.setattr(engine, "stack_configuration", lambda: {**given, "kubernetes:cluster": "x"})
    load([])
    monkeypatch.setattr(engine, "stack_configuration", lambda: {**given, key: "{}"})
    with pytest.raises(ConfigError) as refused:
        load([])
    assert refused.value.problems == (
        f"kafka: is given as {key}, which nothing reads; correct what is in front of the colon",
    )


def test_a_section_that_is_not_under_config_is_not_left_out_in_silence(
    values: Values, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {f"argus:{name}": json.dumps(section) for name, section in values.items()}
    monkeypatch.setattr(engine, "stack_configuration", lambda: given)
    monkeypatch.setattr(pulumi, "get_stack", lambda: "site")
    monkeypatch.setattr(stack_file, "FOLDER", tmp_path)
    load([])
    (tmp_path / "Pulumi.site.yaml").write_text("config:\n  argus:kafka: {}\nargus:audit: { ship: true }\n")
    with pytest.raises(ConfigError) as refused:
        load([])
    assert refused.value.problems == (
        "audit: stands at the left edge of Pulumi.site.yaml, where nothing reads it; indent it under config:",
    )


def test_a_secret_in_clear_is_named_and_not_printed(
    values: Values, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {f"argus:{name}": json.dumps(section) for name, section in values.items()}
    warned: list[str] = []
    monkeypatch.setattr(engine, "stack_configuration", lambda: given)
    monkeypatch.setattr(pulumi, "get_stack", lambda: "site")
    monkeypatch.setattr(pulumi.log, "warn", warned.append)
    monkeypatch.setattr(stack_file, "FOLDER", tmp_path)
    (tmp_path / "Pulumi.site.yaml").write_text(
        "config:\n"
        "  argus:cameraCredentials:\n"
        "    gate: { username: viewer, password: hush }\n"
        "    yard: { username: viewer, password: { secure: v1:x } }\n"
        "  argus:ui: { acme: { options: { A_B: word }, credentials: { A_C: 12 } } }\n"
        "  argus:machines: { workers: [{ name: one, address: 192.0.2.1 }] }\n"
        "  kubernetes:context: word\n"
    )
    load([])
    assert [each.partition(" ")[0] for each in warned] == [
        "argus:cameraCredentials.gate.password",
        "argus:ui.acme.credentials.A_C",
    ]
    assert warned[0] == (
        "argus:cameraCredentials.gate.password is in clear in the stack's file; `pulumi config set --secret --path "
        "'argus:cameraCredentials.gate.password'` encrypts it"
    )


def test_a_field_is_found_by_its_place() -> None:
    assert field_at(Settings, "cameras", 3, "url") is not None
    assert field_at(Settings, "access", "users", "anna", "passwordHash") is not None
    assert field_at(Settings, "cameras", 3, "fps") is None
    assert SecretStr in (field_at(Settings, "cameraCredentials", "gate", "password").annotation,)  # type: ignore[union-attr]
