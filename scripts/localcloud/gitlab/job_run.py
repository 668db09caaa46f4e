"""One run of one job: its workspace, its programs, and its log as it comes, with masked values hidden."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from localcloud.cloud import Cloud
from localcloud.gitlab import job_variables
from localcloud.gitlab.job_variables import Variables
from localcloud.gitlab.masking import Mask
from localcloud.gitlab.records import Record
from localcloud.processes import OsUser

MARK = "LOCALCLOUD_JOB"
REGION = "eu-west-1"
LOG_BYTES = 4 * 1024 * 1024  # gitlab-runner's output_limit
AFTER_SCRIPT_SECONDS = 300  # doc/ci/yaml, after_script
DRAIN_SECONDS = 2  # for output of programs that a job left behind, which are ended then
PASSED_ON = ("LANG", "NO_PROXY", "no_proxy", "PG_BIN", "TF_CLI_CONFIG_FILE", "TF_PLUGIN_CACHE_DIR", "TF_PLUGIN_MIRROR")
GREEN, RED, END = "\x1b[32;1m", "\x1b[31;1m", "\x1b[0;m"
# The first bash gets the signal when the cloud dies (PR_SET_PDEATHSIG), and passes it on to all of the second's group,
# which has some time for what it does then (gitlab-runner, helpers/process/killer.go, gives ten minutes).
SUPERVISED = """
end() {
  kill -TERM -- "-$child"
  for _ in {1..100}; do kill -0 -- "-$child" || return; sleep 0.1; done
  kill -KILL -- "-$child"
}
set -m
bash --noprofile --norc "$1" 2>&1 &
child=$!
exec 2>/dev/null
trap end TERM INT
wait "$child"
code=$?
# A save stops all programs for a moment, which ends the wait of a shell with job control, but not the job.
while kill -0 "$child"; do sleep 0.05; wait "$child"; code=$?; done
exit "$code"
"""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a job ended."""

    status: str
    reason: str | None = None
    exit_code: int | None = None


class JobRun:
    """The run of a job from its workspace to its last line."""

    def __init__(self, *, cloud: Cloud, folder: Path, trace: Path) -> None:
        self.cloud = cloud
        self.folder = folder
        self.workspace = folder / "project"
        self.user = OsUser(name=None, uid=os.getuid(), gid=os.getgid())
        self._mark = str(folder)
        self._trace = trace
        self._job: Record = {}
        self._environment: dict[str, str] = {}
        self._mask = Mask([])
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None
        self._cancelled = threading.Event()
        self._lock = threading.Lock()
        self._full = False
        trace.parent.mkdir(parents=True, exist_ok=True)
        self._log = trace.open("wb")

    # -- the log -----------------------------------------------------------------------------------------------------

    def say(self, text: str) -> None:
        """Add a line of the runner's own."""
        self._write(f"{text}\n".encode())

    def _write(self, data: bytes) -> None:
        with self._lock:
            if self._log.closed or self._full:
                return
            shown = self._mask.hide(data)
            if self._log.tell() + len(shown) > LOG_BYTES:
                self._full = True
                shown = f"\n{RED}Job's log exceeded limit of {LOG_BYTES} bytes.{END}\n".encode()
            self._log.write(shown)
            self._log.flush()

    def close(self) -> None:
        """End the log."""
        with self._lock:
            if not self._log.closed:
                self._log.write(self._mask.rest())
                self._log.close()

    def remove(self) -> None:
        """Delete the workspace, whatever the job has put there."""
        subprocess.run(["rm", "-rf", str(self.folder)], check=False)

    # -- before ------------------------------------------------------------------------------------------------------

    def prepare(self, user: OsUser) -> None:
        """Make the folders of a job, which belong to the account that jobs run as."""
        self.user = user
        self.folder.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        self.folder.mkdir(mode=0o755)
        user.own(self.folder)
        for name in ("home", "tmp", "project.tmp"):
            (self.folder / name).mkdir(mode=0o700)
            user.own(self.folder / name)
        self.say("Running with gitlab-runner (played by the local cloud)")

    def define(self, job: Record, variables: Variables) -> None:
        """Take the job and its variables; those of type file become files that the job alone may read."""
        self._job = job
        self._mask = Mask(v.value for v in variables.values() if v.masked)
        values = job_variables.expanded(variables)
        for name, variable in variables.items():
            if variable.file:
                values[name] = str(self._file(name, values[name]))
        self._environment = {**self._machine(), **values, MARK: self._mark}
        if job["image"]:
            self.say(f"WARNING: image {job['image']} is not used: jobs of the local cloud run in bash on this machine")

    def _file(self, name: str, content: str) -> Path:
        path = self.folder / "project.tmp" / name
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(content)
        self.user.own(path)
        return path

    def _machine(self) -> dict[str, str]:
        """Return what the machine of a runner brings: programs, and AWS as the role of its instance would."""
        tools = str(Path(sys.executable).parent)
        return {
            **{name: os.environ[name] for name in PASSED_ON if name in os.environ},
            "PATH": f"{tools}:{os.environ.get('PATH', os.defpath)}",
            "HOME": str(self.folder / "home"),
            "TMPDIR": str(self.folder / "tmp"),
            "USER": self.user.name or "gitlab-runner",
            "SHELL": "/bin/bash",
            "AWS_ENDPOINT_URL": self.cloud.endpoint,
            "AWS_ACCESS_KEY_ID": "gitlab-runner",
            "AWS_SECRET_ACCESS_KEY": "gitlab-runner",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_RUNNER_IDENTITY": "meant",  # scripts/ci/aws_login.sh: there is nobody else to be here
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    # -- the script --------------------------------------------------------------------------------------------------

    def start_script(self) -> None:
        """Start before_script and script in one shell; call it inside the gate."""
        self._section("step_script", 'Executing "step_script" stage of the job script')
        self._start("script", [*self._job["before_script"], *self._job["script"]])
        if self._cancelled.is_set():  # while the workspace was being made
            self.kill()

    def wait_for_script(self) -> Outcome:
        """Wait for its end, for at most the job's timeout, and end all that it left running."""
        try:
            code = self._wait(self._job["timeout"])
        except subprocess.TimeoutExpired:
            self.say(f"{RED}ERROR: Job failed: execution took longer than {self._job['timeout']} seconds{END}")
            return Outcome(status="failed", reason="job_execution_timeout")
        if self._cancelled.is_set():
            return Outcome(status="canceled")
        if code == 0:
            return Outcome(status="success", exit_code=0)
        return Outcome(status="failed", reason="script_failure", exit_code=code)

    def start_after_script(self, outcome: Outcome) -> None:
        """Start after_script in a shell of its own; call it inside the gate."""
        if self._job["after_script"]:
            self._environment["CI_JOB_STATUS"] = outcome.status
            self._section("after_script", "Running after_script")
            self._start("after_script", self._job["after_script"])

    def wait_for_after_script(self) -> None:
        """Wait for its end; how it ends changes nothing."""
        if self._job["after_script"]:
            try:
                code = self._wait(AFTER_SCRIPT_SECONDS)
            except subprocess.TimeoutExpired:
                code = 1
            if code != 0:
                self.say("WARNING: after_script failed, but job will continue unaffected")

    def conclude(self, outcome: Outcome) -> None:
        """Write the last line of the log, which is there before the status says that the job has ended."""
        if outcome.status == "success":
            self.say(f"{GREEN}Job succeeded{END}")
        elif outcome.status == "canceled":
            self.say(f"{RED}ERROR: Job canceled{END}")
        elif outcome.exit_code is not None:
            self.say(f"{RED}ERROR: Job failed: exit status {outcome.exit_code}{END}")

    def _section(self, name: str, title: str) -> None:
        stamp = int(time.time())
        self._write(f"section_start:{stamp}:{name}\r\x1b[0K\x1b[0K\x1b[36;1m{title}{END}\n".encode())

    def _start(self, name: str, lines: list[str]) -> None:
        script = self.folder / f"{name}.sh"
        text = "set -eo pipefail\nset +o noclobber\n"
        for line in lines:
            first, *more = line.splitlines() or [""]
            shown = f"{first} # collapsed multi-line command" if more else first
            text += f"printf '%s\\n' {shlex.quote(f'{GREEN}$ {shown}{END}')}\n{line}\n"
        script.write_text(text)
        self.user.own(script)
        read, write = os.pipe()
        try:
            self._process = self.cloud.processes.start(
                ["bash", "--noprofile", "--norc", "-c", SUPERVISED, "job", str(script)],
                user=self.user,
                env=self._environment,
                cwd=self.workspace,
                log=write,
            )
        finally:
            os.close(write)
        self._reader = threading.Thread(target=self._read, args=(read,), name=f"log of {self._mark}", daemon=True)
        self._reader.start()

    def _read(self, source: int) -> None:
        with os.fdopen(source, "rb", buffering=0) as output:
            while data := output.read(65536):
                self._write(data)

    def _wait(self, seconds: float) -> int:
        assert self._process is not None
        assert self._reader is not None
        try:
            status = self._process.wait(seconds)
        finally:
            self._end(self._process)
            self._process = None
            self._reader.join(DRAIN_SECONDS)
        return status if status >= 0 else 128 - status

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        """End what a script left running, also what has left its session."""
        if process.poll() is None:
            self.cloud.processes.stop(process, seconds=3)
        for left in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                if left.environ().get(MARK) == self._mark:
                    left.kill()

    # -- ending it from outside --------------------------------------------------------------------------------------

    def cancel(self) -> None:
        """End the script, without waiting for that; after_script still runs (doc/ci/yaml, after_script)."""
        if not self._cancelled.is_set():
            self._cancelled.set()
            process = self._process
            if process is not None:
                stop = self.cloud.processes.stop
                threading.Thread(target=stop, args=(process,), name=f"cancel {self._mark}", daemon=True).start()

    def kill(self) -> None:
        """End the programs of the job."""
        process = self._process
        if process is not None:
            self.cloud.processes.stop(process, seconds=3)
