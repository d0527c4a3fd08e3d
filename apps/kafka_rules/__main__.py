"""`python -m apps.kafka_rules` makes the brokers' access rules those of a table, and no others."""

import json
import logging
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._acl import AclBinding, AclBindingFilter, AclOperation, AclPermissionType
from confluent_kafka.admin._resource import ResourcePatternType, ResourceType

from apps.service.process import run
from apps.service.settings import KafkaSettings

ANSWER_SECONDS = 60.0

logger = logging.getLogger("apps.kafka_rules")


class Settings(KafkaSettings):
    """The environment of the job."""

    grants_file: Path
    """JSON: a list of `client`, `resource` (topic, group), `name` and `operation` (read, write, describe)."""


def rule_of(grant: Mapping[str, str]) -> AclBinding:
    """The rule that lets a client do one thing, from any address."""
    return AclBinding(
        ResourceType[grant["resource"].upper()],
        grant["name"],
        ResourcePatternType.LITERAL,
        f"User:{grant['client']}",
        "*",
        AclOperation[grant["operation"].upper()],
        AclPermissionType.ALLOW,
    )


def apply(admin: AdminClient, wanted: Iterable[AclBinding]) -> tuple[int, int]:
    """Make the rules that are lacking, then remove those that are not wanted. Returns how many of each.

    Raises KafkaException where Kafka refuses or does not answer.
    """
    # None stands for any, which the client's types do not say.
    any_name: Any = None
    everything = AclBindingFilter(
        ResourceType.ANY, any_name, ResourcePatternType.ANY, any_name, any_name, AclOperation.ANY, AclPermissionType.ANY
    )
    there = set(admin.describe_acls(everything, request_timeout=ANSWER_SECONDS).result())
    lacking, unwanted = set(wanted) - there, there - set(wanted)
    _wait(admin.create_acls(list(lacking), request_timeout=ANSWER_SECONDS) if lacking else {})
    removed = [_only(rule) for rule in unwanted]
    _wait(admin.delete_acls(removed, request_timeout=ANSWER_SECONDS) if removed else {})
    return len(lacking), len(unwanted)


def work(settings: Settings) -> int:
    """Returns the process's exit status: 1 if Kafka refuses or does not answer."""
    grants = json.loads(settings.grants_file.read_text(encoding="utf-8"))
    try:
        made, removed = apply(AdminClient({**settings.kafka_connection}), [rule_of(grant) for grant in grants])
    except KafkaException as error:
        logger.error("the access rules were not changed: %s", error)
        return 1
    logger.info("%d access rules in place: %d made, %d others removed", len(grants), made, removed)
    return 0


def _only(rule: AclBinding) -> AclBindingFilter:
    """The filter that this rule alone passes."""
    return AclBindingFilter(
        rule.restype,
        rule.name,
        rule.resource_pattern_type,
        rule.principal,
        rule.host,
        rule.operation,
        rule.permission_type,
    )


def _wait(answers: Mapping[Any, Any]) -> None:
    for answer in answers.values():
        answer.result()


if __name__ == "__main__":
    sys.exit(run(Settings, work))
