from lab.config import SSH_KEY, machine
from lab.machines import ssh


def test_a_shell_uses_the_labs_key_and_no_other() -> None:
    command = ssh.command(machine("cp1"), "uname", "-a")
    assert command[command.index("-i") + 1] == str(SSH_KEY)
    assert "IdentitiesOnly=yes" in command
    assert command[-3:] == ["root@10.77.0.11", "uname", "-a"]
