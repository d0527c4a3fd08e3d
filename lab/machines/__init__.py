"""The lab's machines: containers with systemd and sshd that stand for hosts."""
