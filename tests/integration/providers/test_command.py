"""The stand-in for the Command plugin, on this machine and over SSH to a real sshd."""

import json
from pathlib import Path

from tests.integration.providers.conftest import Project, SshServer, free_port

HEAD = """
    import pulumi
    import pulumi_command as c
    opts = pulumi.ResourceOptions
"""


def write(project: Project, server: SshServer, body: str, **more: object) -> None:
    connection = {"host": "127.0.0.1", "port": server.port, "private_key": server.key, **more}
    project.program(f"{HEAD}\n    connection = c.remote.ConnectionArgs(**{connection!r})\n{body}")


def test_a_command_is_run_run_again_and_undone(project: Project, ssh_server: SshServer, tmp_path: Path) -> None:
    made = tmp_path / "made"
    body = """
    r = c.remote.Command("r", connection=connection, create="cat > {made}; echo {word}; echo {word}-err >&2",
        stdin="from stdin", delete="rm {made}")
    pulumi.export("out", r.stdout)
    pulumi.export("err", r.stderr)
    """
    write(project, ssh_server, body.format(made=made, word="one"))
    assert project.changes() == {"create": 2}
    assert not made.exists()
    text = project.up().text
    assert "one-err" in text
    assert made.read_text() == "from stdin"
    assert project.outputs() == {"out": "one", "err": "one-err"}
    assert ssh_server.key.splitlines()[1] not in json.dumps(project.state("r"))
    assert project.changes() == {}
    write(project, ssh_server, body.format(made=made, word="two"))
    assert project.changes() == {"update": 1}
    project.up()
    assert project.outputs()["out"] == "two"
    project.destroy()
    assert not made.exists()


def test_triggers_replace_and_the_old_one_is_undone(project: Project, ssh_server: SshServer, tmp_path: Path) -> None:
    log = tmp_path / "log"
    body = """
    c.remote.Command("r", connection=connection, create="echo create >> {log}", delete="echo delete >> {log}",
        triggers=[{trigger}], opts=opts(delete_before_replace=True))
    """
    write(project, ssh_server, body.format(log=log, trigger=1))
    project.up()
    write(project, ssh_server, body.format(log=log, trigger=2))
    assert project.changes() == {"replace": 1}
    project.up()
    assert log.read_text().split() == ["create", "delete", "create"]


def test_triggers_replace_also_where_there_is_an_update(
    project: Project, ssh_server: SshServer, tmp_path: Path
) -> None:
    """The SDKs ask the engine for it (pulumi-command#855), whatever the plugin and its documentation say."""
    log = tmp_path / "log"
    body = """
    c.remote.Command("r", connection=connection, create="echo create >> {log}", update="echo update >> {log}",
        triggers=[{trigger}])
    """
    write(project, ssh_server, body.format(log=log, trigger=1))
    project.up()
    write(project, ssh_server, body.format(log=log, trigger=2))
    assert project.changes() == {"replace": 1}
    project.up()
    assert log.read_text().split() == ["create", "create"]


def test_another_way_in_is_an_update(project: Project, ssh_server: SshServer) -> None:
    """Not a replacement, which would run `delete`; what the command printed is unknown until it has run again."""
    body = """
    r = c.remote.Command("r", connection=connection, create="echo one", delete="exit 1")
    c.local.Command("reads", create="true", stdin=r.stdout)
    """
    write(project, ssh_server, body)
    project.up()
    write(project, ssh_server, body, dial_error_limit=3)
    assert project.changes() == {"update": 2}
    project.up()
    assert project.changes() == {}
    write(project, ssh_server, body.replace("exit 1", "true"), dial_error_limit=3)
    project.up()


def test_a_refresh_changes_nothing(project: Project, ssh_server: SshServer) -> None:
    """A command has run, and nothing outside says more of it."""
    write(project, ssh_server, '    c.remote.Command("r", connection=connection, create="date +%N")\n')
    project.up()
    before = project.state("r")["outputs"]["stdout"]
    project.pulumi("refresh", "--yes", "--skip-preview")
    assert project.state("r")["outputs"]["stdout"] == before
    assert project.changes() == {}


def test_update_sees_the_last_output(project: Project, ssh_server: SshServer) -> None:
    body = """
    l = c.local.Command("l", create="echo first", update="echo was $PULUMI_COMMAND_STDOUT $X", environment={{"X": "{x}"}},
        logging=c.local.Logging.NONE)
    pulumi.export("out", l.stdout)
    """
    write(project, ssh_server, body.format(x=1))
    project.up()
    write(project, ssh_server, body.format(x=2))
    project.up()
    assert project.outputs()["out"] == "was first 2"


def test_an_environment_that_comes_later_is_an_update_beside_a_trigger_that_stays(
    project: Project, ssh_server: SshServer
) -> None:
    """As certificates of earlier versions are renewed (components/pipeline/certificates.py)."""
    body = """
    l = c.local.Command("l", create="echo made in $ARGUS_PERIOD", triggers=["2026"], environment={period})
    pulumi.export("out", l.stdout)
    """
    write(project, ssh_server, body.format(period=None))
    project.up()
    write(project, ssh_server, body.format(period={"ARGUS_PERIOD": "2027"}))
    assert project.changes() == {"update": 1}
    project.up()
    assert project.outputs()["out"] == "made in 2027"


def test_a_failure_tells_what_was_printed_and_not_the_script(project: Project, ssh_server: SshServer) -> None:
    write(
        project,
        ssh_server,
        '    c.remote.Command("r", connection=connection, create=pulumi.Output.secret(": hunter2; echo bad >&2; exit 3"))\n',
    )
    text = project.up(ok=False).text
    assert "exit status 3" in text
    assert "bad" in text
    assert "hunter2" not in text


def test_a_secret_in_the_script_makes_a_secret_of_the_output(project: Project, ssh_server: SshServer) -> None:
    write(
        project,
        ssh_server,
        """
    r = c.remote.Command("r", connection=connection, create=pulumi.Output.secret("echo hunter2"),
        logging=c.remote.Logging.NONE)
    pulumi.export("out", r.stdout)
    """,
    )
    assert "hunter2" not in project.up().text
    assert "hunter2" not in json.dumps(project.state("r"))
    assert project.outputs()["out"] == "hunter2"


def test_the_host_key_is_verified_where_it_is_given(project: Project, ssh_server: SshServer) -> None:
    body = '    c.remote.Command("r", connection=connection, create="true")\n'
    write(project, ssh_server, body, host_key=ssh_server.host_key)
    project.up()
    other = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDb4Zp6zGmVLVLVnZCyZ8bLqkCQYvDqYHnYX0gqhd3eL"
    write(project, ssh_server, body.replace("true", "echo"), host_key=other, dial_error_limit=0)
    assert "host key" in project.up(ok=False).text


def test_a_host_that_is_still_starting_is_tried_again(project: Project, ssh_server: SshServer) -> None:
    body = '    c.remote.Command("r", connection=connection, create="true")\n'
    write(project, ssh_server, body, port=free_port(), dial_error_limit=2, per_dial_timeout=1)
    assert "after 3 attempts" in project.up(ok=False).text


def test_environment_reaches_the_command_or_is_refused(project: Project, ssh_server: SshServer) -> None:
    body = """
    r = c.remote.Command("r", connection=connection, create="echo $TEST_A", environment={{{name!r}: "a"}},
        add_previous_output_in_env=False)
    pulumi.export("out", r.stdout)
    """
    write(project, ssh_server, body.format(name="TEST_A"))
    project.up()
    assert project.outputs()["out"] == "a"
    write(project, ssh_server, body.format(name="OTHER"))
    assert "AcceptEnv" in project.up(ok=False).text


def test_files_and_folders_are_copied(project: Project, ssh_server: SshServer, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "inside").write_text("inside")
    write(
        project,
        ssh_server,
        f"""
    c.remote.CopyToRemote("text", connection=connection, source=pulumi.StringAsset("text"),
        remote_path="{tmp_path}/new/text")
    c.remote.CopyToRemote("folder", connection=connection, source=pulumi.FileArchive("{tmp_path}/folder"),
        remote_path="{tmp_path}/copy")
    """,
    )
    project.up()
    assert (tmp_path / "new" / "text").read_text() == "text"
    assert (tmp_path / "copy" / "inside").read_text() == "inside"
    assert project.changes() == {}
