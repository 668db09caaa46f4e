"""No value and no token in anything that is printed or written while variables are synced, exported and deployed with."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.commands.test_gitlab_cli import environment
from tests.commands.test_gitlab_deploy import CI
from tests.faults.test_secrets import found
from tests.gitlab_sites import PASSWORD, GitLabSite, gitlab_site
from tests.localcloud.gitlab_places import local_gitlab
from tests.rehearsal import passed


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitLabSite]:
    with local_gitlab() as local:
        made = gitlab_site(local, tmp_path_factory.mktemp("project"))
        made.write(
            """
[[gitlab.variables]]
key = "DATABASE_URL"
composed = "database_url"
[[gitlab.variables]]
key = "PASSWORD"
secret = "app-x/password"
secret_key = "password"
[[gitlab.variables]]
key = "UNSEEN"
secret = "app-x/password"
secret_key = "password"
hidden = true
[[gitlab.variables]]
key = "EC2_INSTANCE_IP"
output = "app.address"
masked = "never"
pointer = true
"""
        )
        local.write(CI)
        yield made


def run(lab: GitLabSite, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["lifeboat", *arguments, "-e", "x"],
        cwd=lab.root,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_no_command_prints_or_writes_a_value_or_the_token(lab: GitLabSite) -> None:
    token = lab.place.token
    seen: list[str] = []
    looked_at = set()
    stop = threading.Event()

    def watch() -> None:
        while not stop.is_set():
            for process in psutil.process_iter():
                try:
                    words = process.cmdline()
                    ours = any(word.endswith("/bin/lifeboat") for word in words)
                    line, outside = "\0".join(words), "\0".join(process.environ().values()) if ours else ""
                except (psutil.NoSuchProcess, psutil.AccessDenied):
                    continue
                looked_at.update([process.pid] if ours else [])
                seen.extend(line for secret in (PASSWORD, token) if found(secret, (line + outside).encode()))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    said = [passed(run(lab, "gitlab", "plan")), passed(run(lab, "gitlab", "plan", "-o", "json"))]
    said.append(passed(run(lab, "gitlab", "sync", "--yes")))
    said.append(passed(run(lab, "gitlab", "sync", "--yes", "-o", "json")))
    lab.place.create("BY_HAND", PASSWORD, scope="x", masked=True, raw=True)
    said.append(passed(run(lab, "gitlab", "export"), 4))
    for key in ("PASSWORD", "BY_HAND"):
        lab.place.project.variables.update(key, {"value": "overwritten"}, filter={"environment_scope": "x"})
    lab.fail("UpdateVariable", times=9, status=502)
    said.append(passed(run(lab, "gitlab", "sync", "--yes"), 8))
    lab.cloud.control("faults", clear=True)
    lab.fail("UpdateVariable", times=9, status=400)
    said.append(passed(run(lab, "gitlab", "restore", "--yes"), 1))
    lab.cloud.control("faults", clear=True)
    said.append(passed(run(lab, "gitlab", "restore", "--yes")))
    said.append(passed(run(lab, "gitlab", "sync", "--yes")))
    lab.local.pushed()
    said.append(passed(run(lab, "gitlab", "deploy")))
    said.append(passed(run(lab, "gitlab", "doctor")))
    stop.set()
    watcher.join()

    for done in said:
        for secret in (PASSWORD, token):
            assert found(secret, (done.stdout + done.stderr).encode()) == [], done.args
    files = [path for path in _files(lab) if path.is_file()]
    for path in files:
        for secret in (PASSWORD, token):
            assert found(secret, path.read_bytes()) == [], path
    assert any(path.name == "gitlab-sync.jsonl" for path in files)
    assert any("traces" in path.parts for path in files)
    assert len(looked_at) > 5
    assert seen == []


def _files(lab: GitLabSite) -> Iterator[Path]:
    """Yield what lifeboat wrote, the local cloud's logs, and the logs of its jobs; its state is GitLab's side of the fence."""
    yield from (lab.root / ".lifeboat").rglob("*")
    yield from (lab.cloud.directory / "logs").rglob("*")
    yield from (lab.cloud.directory / "live" / "gitlab" / "traces").rglob("*")
