"""What is tried on the lab with others' credentials."""

import pytest

from components.pipeline.elasticsearch_grants import CLIENTS
from components.pipeline.elasticsearch_identities import secret_of
from tests.e2e.borrowed import DONE, REFUSED
from tests.e2e.credentials import attempts

APPLICATIONS = {"objects": ["objects", "other"], "motion": ["motion"]}
OF_KAFKA = [f"kafka-{client}" for client in ("producer", "consumer", "filebeat", "comparison", "ui", "model-objects")]
SECRETS = [*OF_KAFKA, *map(secret_of, CLIENTS)]
TRIED = attempts(SECRETS, APPLICATIONS)


@pytest.mark.parametrize(
    ("attempt", "end"),
    [
        (("kafka-producer", "read frames"), REFUSED),
        (("kafka-producer", "describe frames"), DONE),
        (("kafka-ui", "write results.motion"), REFUSED),
        (("kafka-model-objects", "write results.motion"), REFUSED),
        ((secret_of("ui"), "POST /_bulk"), REFUSED),
        ((secret_of("ui"), "POST /results-*/_search"), DONE),
    ],
)
def test_what_the_tables_do_not_give_has_to_be_refused(attempt: tuple[str, str], end: str) -> None:
    assert TRIED[attempt] == end


@pytest.mark.parametrize("attempt", [("kafka-producer", "write frames"), ("kafka-ui", "read frames")])
def test_what_a_client_may_is_not_done(attempt: tuple[str, str]) -> None:
    assert attempt not in TRIED


@pytest.mark.parametrize("secret", SECRETS)
def test_every_client_is_refused_something(secret: str) -> None:
    assert REFUSED in {end for (shown, _), end in TRIED.items() if shown == secret}


def test_nobody_is_tried_whose_secret_is_not_there() -> None:
    assert {secret for secret, _ in attempts(OF_KAFKA[:1], APPLICATIONS)} == {OF_KAFKA[0]}


def test_no_request_names_an_index_that_may_be_there() -> None:
    deletes = [what for _, what in TRIED if what.startswith("DELETE /") and "scroll" not in what]
    assert deletes and all(what.endswith("1999.01.01") for what in deletes)
