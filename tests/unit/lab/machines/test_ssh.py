from ipaddress import IPv4Address

from lab.config import SSH_KEY, Machine
from lab.machines import ssh


def test_a_shell_uses_the_labs_key_and_no_other() -> None:
    machine = Machine(name="cp1", address=IPv4Address("10.77.0.11"))
    command = ssh.command(machine, "uname", "-a")
    assert command[command.index("-i") + 1] == str(SSH_KEY)
    assert "IdentitiesOnly=yes" in command
    assert command[-3:] == ["root@10.77.0.11", "uname", "-a"]
