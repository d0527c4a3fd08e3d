"""Every test here has a separate lab directory, so that none affects a lab that runs on this host."""

from pathlib import Path

import pytest

from lab import network, services, stack


@pytest.fixture
def lab_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(services, "LOGS", tmp_path / "logs")
    monkeypatch.setattr(services, "_PIDS", tmp_path / "services")
    monkeypatch.setattr(network, "_SAVED", tmp_path / "sysctls.json")
    monkeypatch.setattr(network, "_KERNEL", tmp_path / "sys")
    for name, path in {"_BACKEND": "pulumi", "_PROJECT": "project", "HOME": "home"}.items():
        monkeypatch.setattr(stack, name, tmp_path / path)
    for name, path in {
        "_CONFIG_FILE": "Pulumi.dev.yaml",
        "_PASSPHRASE": "passphrase",
        "KUBECONFIG": "kubeconfig",
    }.items():
        monkeypatch.setattr(stack, name, tmp_path / path)
    return tmp_path
