"""What an update that fails leaves in the stack's outputs, from which the next one learns what it may do."""

from tests.integration.providers.conftest import Project

PROGRAM = """
    import pulumi
    import pulumi_command as c

    class Pipeline(pulumi.ComponentResource):
        def __init__(self):
            super().__init__("test:Pipeline", "pipeline")
            c.local.Command("pods", create="sleep 1; test {word} != broken", opts=pulumi.ResourceOptions(parent=self))

    class Last(pulumi.ComponentResource):
        def __init__(self, after):
            super().__init__("test:Last", "last", None, pulumi.ResourceOptions(depends_on=[after]))

    last = Last(Pipeline())
    pulumi.export("recorded", {recorded})
"""
AT_ONCE, AT_THE_END = '"{word}"', 'last.urn.apply(lambda _: "{word}")'


def failed(project: Project, recorded: str) -> str:
    """What is recorded once an update has failed that came after one that did not."""
    for word, ok in (("whole", True), ("broken", False)):
        project.program(PROGRAM.format(word=word, recorded=recorded.format(word=word)))
        project.up(ok=ok)
    return str(project.outputs()["recorded"])


def test_a_failed_update_has_written_what_was_known(project: Project) -> None:
    """So what is known before its end must not be taken for what was reached."""
    assert failed(project, AT_ONCE) == "broken"


def test_what_is_known_once_a_later_component_is_there_is_only_written_then(project: Project) -> None:
    """As components/config/lasting.py has it for what goes in steps."""
    assert failed(project, AT_THE_END) == "whole"
