"""The terraform program: argument lists from python-terraform, our own process with deadline, events and redaction."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from python_terraform import IsFlagged
from python_terraform import Terraform as _PythonTerraform

from lifeboat.clients import programs
from lifeboat.clients.redaction import redacted
from lifeboat.errors import IntegrityFailure, Locked, StoppedPartWay, TerraformFailed, Unreachable, WrongConfiguration
from lifeboat.model import Action, Address, Change, Diagnostic, FoundVersion, Plan, Progress

MINIMUM = (1, 11, 0)
GRACE_SECONDS = 90  # Terraform finishes what is in flight and writes the state after SIGINT
_ALONE = 0o077  # a state that it cannot save it leaves beside its configuration, in a file of its own
_SHIMS = ("TFENV_", "TENV_", "ASDF_", "MISE_")
_LOCKED = re.compile(r"Error acquiring the state lock")
# Beside it, of what lies where the lock should (internal/backend/remote-state/s3/client.go, getLockInfo).
_NO_LOCK_OF_TERRAFORM = re.compile(r"failed to unmarshal JSON data|invalid character|unexpected end of JSON input")
# Summaries of Terraform's refusals of an input, as opposed to something that went wrong.
_WRONG_INPUT = {
    "Invalid value for variable",
    "Invalid value for input variable",
    "No value for required variable",
    "Resource precondition failed",
    "Value for undeclared variable",
    "Values for undeclared variables",
    "Unsupported argument",
    "Invalid expression",
    "Argument or block definition required",
    "Missing required argument",
}
_DIGEST = re.compile(r"state data in S3 does not have the expected content")
_UNDECLARED = ("Value for undeclared variable", "Values for undeclared variables")
_LOCK_FIELD = re.compile(r"^\s*(ID|Who|Operation|Created):\s+(.+?)\s*$", re.MULTILINE)
_NO_PROVIDER = re.compile(
    r"(Failed to query available provider packages|Failed to install provider|"
    r"registry\.terraform\.io.*(dial|lookup|timeout|refused))",
    re.DOTALL,
)


class _Arguments(_PythonTerraform):  # type: ignore[misc]
    """python-terraform, of which only the argument builder is used: its process handling cannot stream or time out."""

    def cmd(self, cmd: str, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"run {cmd} through Terraform.start")


@dataclass
class Running:
    """A Terraform that runs: read `progress()` until it ends, then `finish()`.

    Its events go to a file, not a pipe, so that they are complete even when we are killed (they are what an
    interrupted apply is repaired from), and so that it never blocks on us.
    """

    what: str
    process: subprocess.Popen[bytes]
    events: Path
    deadline: float
    inputs: tuple[Path, ...] = ()
    diagnostics: list[Diagnostic] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    gone: list[Address] = field(default_factory=list)
    outputs_change: bool = False
    outputs: dict[str, Any] = field(default_factory=dict)
    seen: list[Progress] = field(default_factory=list)
    stopped: bool = False
    _reader: IO[str] | None = None
    _tail: str = ""

    def progress(self) -> Iterator[Progress]:
        """Yield what happened since the last call; never blocks. Raises TerraformFailed past the deadline."""
        if self._reader is None:
            self._reader = self.events.open(encoding="utf-8", errors="replace")
        self._tail += self._reader.read()
        *lines, self._tail = self._tail.split("\n")
        for line in lines:
            yield from self._read(line)
        if time.monotonic() > self.deadline and self.process.poll() is None:
            self.stop()
            raise TerraformFailed(
                f"{self.what} took longer than its limit and was stopped",
                hint="run the same command again: it goes on from where this one was; the limit is in [terraform]",
            )

    @property
    def cut_off(self) -> bool:
        """Whether it was stopped or killed, so that what it was making may be neither finished nor recorded."""
        return self.stopped or (self.process.returncode is not None and self.process.returncode < 0)

    @property
    def ended(self) -> bool:
        """Whether the process is gone."""
        return self.process.poll() is not None

    def finish(self) -> int:
        """Wait for the end and return the exit status, with the file of its events redacted; may be called again."""
        while not self.ended:
            for _ in self.progress():
                continue
            time.sleep(0.05)
        status = self.process.wait()
        for _ in self.progress():
            continue
        text = self.events.read_text(encoding="utf-8", errors="replace")
        clean = redacted(text)
        if clean != text:
            self.events.write_text(clean, encoding="utf-8")
        return status

    @property
    def failed(self) -> bool:
        """Whether the process is gone, and did not do what it should."""
        return self.process.poll() not in (None, 0)

    def stop(self) -> None:
        """Ask Terraform to finish what is in flight and to save its state; kill it when it does not."""
        stop([self])

    def kill(self) -> None:
        """End Terraform and its providers at once; what they were making is neither finished nor recorded."""
        self.stopped = True
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)

    def failure(self) -> Exception:
        """Return the error that Terraform's diagnostics amount to; an apply that began has stopped part-way."""
        wrong = _wrong_inputs(self.diagnostics, self.inputs)
        error = wrong or failure(self.what, self.diagnostics, self.events)
        if not self.what.startswith("terraform apply") or isinstance(error, Locked):
            return error
        return StoppedPartWay(
            str(error), hint="mend what it says, then run the same command again: it goes on from where this one was"
        )

    def _read(self, line: str) -> Iterator[Progress]:
        if not line.startswith("{"):
            return
        try:
            event = json.loads(line)
        except json.JSONDecodeError:
            return  # a line cut off by a kill
        kind = event.get("type")
        if kind == "planned_change":
            change = _change(event["change"])
            if change is not None:
                self.changes.append(change)
        elif kind == "resource_drift" and event["change"]["action"] == "delete":
            self.gone.append(Address(event["change"]["resource"]["addr"]))
        elif kind == "outputs":
            self.outputs = event.get("outputs", {})
            self.outputs_change = any(o.get("action") not in (None, "noop") for o in self.outputs.values())
        elif kind == "diagnostic":
            self.diagnostics.append(_diagnostic(event["diagnostic"]))
        else:
            seen = progress_of(event)
            if seen is not None:
                self.seen.append(seen)
                yield seen

    def planned(self) -> Plan:
        """Wait for a `plan` and return what it found, by address; raises what it failed of.

        An input that no variable takes is a mistake too: Terraform only warns, and goes on with the default.
        """
        if self.finish() != 0:
            raise self.failure()
        unknown = [d for d in self.diagnostics if d.summary.startswith(_UNDECLARED)]
        if unknown:
            raise _refused_inputs(unknown, self.inputs)
        return Plan(
            changes=tuple(sorted(self.changes, key=lambda change: change.address)),
            outputs_change=self.outputs_change,
            gone=tuple(sorted(self.gone)),
        )


def stop(running: Iterable[Running]) -> None:
    """Ask Terraforms to finish what is in flight and to save their states, all at once; kill those that do not.

    One that loads its providers takes no notice until it has: 12 s measured, and over a minute on a busy machine.
    """
    alive = [one for one in running if not one.ended]
    for one in alive:
        one.stopped = True
        with suppress(ProcessLookupError):
            os.killpg(one.process.pid, signal.SIGINT)
    until = time.monotonic() + GRACE_SECONDS
    for one in alive:
        try:
            one.process.wait(max(until - time.monotonic(), 0))
        except subprocess.TimeoutExpired:
            one.kill()


class Terraform:
    """One root of one environment: its folder, data folder, variables and the environment variables of its process."""

    def __init__(
        self,
        *,
        root: Path,
        data: Path,
        env: Mapping[str, str],
        variables: Mapping[str, str],
        var_files: Sequence[Path] = (),
        settings: Path | None = None,
        state: Path | None = None,
        redact: Callable[[str], str] = redacted,
    ) -> None:
        self.root = root
        self.data = data
        self.state = state
        self._env = {
            **env,
            "TF_DATA_DIR": str(data),
            "TF_IN_AUTOMATION": "1",
            "TF_INPUT": "0",
            "CHECKPOINT_DISABLE": "1",
        }
        self._variables = [f"{key}={value}" for key, value in variables.items()]
        self._var_files = [str(path) for path in var_files]
        # What the operator writes its inputs in, for the hint: the var-files, or the file that `variables` come from.
        self._written_in = tuple(var_files) or (() if settings is None else (settings,))
        self._redact = redact
        self._arguments = _Arguments(
            working_dir=str(root), terraform_bin_path=env.get("LIFEBOAT_TERRAFORM", "terraform")
        )

    # -- orders --------------------------------------------------------------------------------------------------

    def init(self, backend: Mapping[str, str] | None, *, seconds: float = 300) -> None:
        """Prepare the data folder and install the provider, unless that was done and nothing it depends on changed.

        The lock file must already know the provider.
        """
        stamp = self.data / "lifeboat-init"
        digest = hashlib.sha256(json.dumps([backend, self._fingerprint()], sort_keys=True).encode()).hexdigest()
        if stamp.is_file() and stamp.read_text() == digest:
            return
        options: dict[str, Any] = {"lockfile": "readonly", "reconfigure": IsFlagged, "no_color": IsFlagged}
        if backend is not None:
            options["backend_config"] = dict(backend)
        self._run("init", seconds=seconds, **options)
        self.data.mkdir(parents=True, exist_ok=True)  # Terraform makes none where there is neither provider nor module
        stamp.write_text(digest)

    def plan(
        self,
        *,
        out: Path,
        events: Path,
        seconds: float,
        keep_fds: Sequence[int] = (),
        replace: Sequence[Address] = (),
        targets: Sequence[Address] = (),
    ) -> Running:
        """Start `plan`, saved to `out` (mode 0600): what is named in `replace` is made anew, with `targets` nothing else."""
        out.touch(mode=0o600)  # Terraform writes into what is there, and makes 0644 of what is not
        options = {**self._inputs(), "replace": list(replace), **({"target": list(targets)} if targets else {})}
        return self.start("plan", events=events, seconds=seconds, keep_fds=keep_fds, out=str(out), **options)

    def apply(
        self, plan: Path, *, events: Path, seconds: float, parallelism: int, keep_fds: Sequence[int] = ()
    ) -> Running:
        """Start `apply` of a saved plan."""
        options: dict[str, Any] = {"parallelism": parallelism}
        if self.state is not None:
            options["state"] = str(self.state)
        return self.start("apply", str(plan), events=events, seconds=seconds, keep_fds=keep_fds, **options)

    def destroy_plan(self, *, out: Path, events: Path, seconds: float) -> Running:
        """Start a plan that would destroy everything in the state, saved to `out` (mode 0600)."""
        out.touch(mode=0o600)
        return self.start("plan", events=events, seconds=seconds, out=str(out), destroy=IsFlagged, **self._inputs())

    def outputs(self, *, seconds: float = 60) -> dict[str, Any]:
        """Return the outputs of the state, by name."""
        options = {} if self.state is None else {"state": str(self.state)}
        text = self._run("output", seconds=seconds, json=IsFlagged, **options)
        return {name: output["value"] for name, output in json.loads(text).items()}

    def planned(self, plan: Path, *, seconds: float = 120) -> dict[str, Any]:
        """Return a saved plan as Terraform's JSON document."""
        document: dict[str, Any] = json.loads(self.shown(plan, seconds=seconds))
        return document

    def shown(self, plan: Path, *, seconds: float = 120) -> str:
        """Return the text of that document, which holds every variable in clear text."""
        return self._run("show", str(plan), seconds=seconds, json=IsFlagged)

    def push_state(self, path: Path, *, seconds: float = 120) -> None:
        """Make a file the state; Terraform refuses one that does not follow the present one."""
        self._run("state push", str(path), seconds=seconds)

    def pull_state(self, *, seconds: float = 120) -> bytes:
        """Return the state as Terraform reads it from its backend and would write it; it holds what is secret."""
        return self._run("state pull", seconds=seconds).encode()

    def addresses(self, *, seconds: float = 60) -> list[Address]:
        """Return what Terraform finds in the state file of this root, data sources included."""
        options = {} if self.state is None else {"state": str(self.state)}
        return [Address(line) for line in self._run("state list", seconds=seconds, **options).splitlines() if line]

    def _fingerprint(self) -> list[str]:
        """Return what `init` depends on besides the backend: the lock file, the configuration, the provider's source."""
        files = sorted([*self.root.glob("*.tf"), self.root / ".terraform.lock.hcl"])
        configuration = Path(self._env.get("TF_CLI_CONFIG_FILE", os.devnull))
        parts = [hashlib.sha256(path.read_bytes()).hexdigest() for path in files if path.is_file()]
        return [*parts, configuration.read_text() if configuration.is_file() else "", str(self.root)]

    def _inputs(self) -> dict[str, Any]:
        options: dict[str, Any] = {"var_file": self._var_files, "var": self._variables}
        if self.state is not None:
            options["state"] = str(self.state)
        return options

    # -- processes -----------------------------------------------------------------------------------------------

    def start(
        self, command: str, *arguments: str, events: Path, seconds: float, keep_fds: Sequence[int] = (), **options: Any
    ) -> Running:
        """Start a command whose JSON events go to a file that only its owner may read."""
        argv = self._arguments.generate_cmd_string(command, *arguments, json=IsFlagged, input=False, **options)
        events.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(events, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            process = subprocess.Popen(
                argv,
                cwd=self.root,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                # Killed with -9 we can save nothing, so Terraform then works on alone to its end; the inherited lock on
                # this environment keeps others out until it is done.
                pass_fds=tuple(keep_fds),
                start_new_session=True,
                umask=_ALONE,
            )
        except FileNotFoundError as error:
            raise missing() from error
        finally:
            os.close(descriptor)
        name = f"terraform {command} ({self.root.name})"
        deadline = time.monotonic() + seconds
        return Running(
            what=name,
            process=process,
            events=events,
            deadline=deadline,
            inputs=self._written_in,
        )

    def _run(self, command: str, *arguments: str, seconds: float, **options: Any) -> str:
        argv = self._arguments.generate_cmd_string(command, *arguments, **options)
        what = f"terraform {command} ({self.root.name})"
        try:
            done = subprocess.run(
                argv,
                cwd=self.root,
                # What it answers, or fails of, would drown in its log.
                env={key: value for key, value in self._env.items() if key != "TF_LOG"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=seconds,
                umask=_ALONE,
                check=False,
            )
        except FileNotFoundError as error:
            raise missing() from error
        except subprocess.TimeoutExpired as error:
            raise TerraformFailed(f"{what} did not end within {seconds:.0f} s") from error
        if done.returncode != 0:
            text = self._redact((done.stderr + done.stdout).decode(errors="replace")).strip()
            raise failure(what, [Diagnostic(severity="error", summary=text)], None)
        return done.stdout.decode()


def state_in(plan: Path) -> bytes:
    """Return the state that a saved plan was made of: what was known before, read anew, with all that it imports.

    It holds what is secret. Raises IntegrityFailure where this Terraform saves plans otherwise.
    """
    try:
        with zipfile.ZipFile(plan) as archive:
            return archive.read("tfstate")  # internal/plans/planfile/writer.go
    except (zipfile.BadZipFile, KeyError) as error:
        raise IntegrityFailure(
            f"there is no state in the saved plan: this Terraform saves plans otherwise ({error})",
            hint="take Terraform 1.11, with which it is known: terraform version",
        ) from error


def missing() -> WrongConfiguration:
    """Return the error for a machine without the terraform program."""
    return WrongConfiguration(
        "the terraform program is not on PATH (1.11.0 or newer is needed)",
        hint="make setup TERRAFORM_DOWNLOAD=1 fetches a pinned version and checks its sum;"
        " or install it from https://developer.hashicorp.com/terraform/install",
    )


def version(*, seconds: float = programs.ANSWER_SECONDS) -> FoundVersion:
    """Return the version of the Terraform on PATH, waiting `seconds` for it to say so."""
    # The caller's TF_CLI_ARGS and tokens would go with it; what tells a shim which Terraform to start must.
    shims = {key: value for key, value in os.environ.items() if key.startswith(_SHIMS)}
    more = {**shims, "CHECKPOINT_DISABLE": "1", "TF_CLI_CONFIG_FILE": os.devnull}
    said = programs.answer("terraform", "version", "-json", seconds=seconds, more=more)
    if said.problem:
        return FoundVersion(words=said.problem)
    numbers = re.search(r'"terraform_version":\s*"((\d+)\.(\d+)\.(\d+)[^"]*)"', said.text)
    if numbers is None:
        words = f"{shutil.which('terraform')} does not say its version: {programs.first_line(said.text)}"
        return FoundVersion(words=words)
    return FoundVersion(numbers=(int(numbers[2]), int(numbers[3]), int(numbers[4])), words=numbers[1])


def failure(what: str, diagnostics: Sequence[Diagnostic], events: Path | None) -> Exception:
    """Return Terraform's errors as one of ours: a lock held by somebody, a provider not to be had, or a failure."""
    errors = [d for d in diagnostics if d.severity == "error"]
    text = "\n".join(f"{d.summary}\n{d.detail}" for d in errors)
    found = dict(_LOCK_FIELD.findall(text))
    if _LOCKED.search(text) and "ID" in found:
        return Locked(
            f"the state is locked by {found.get('Who', 'an unknown holder')}"
            f" since {found.get('Created', 'an unknown time')} ({found.get('Operation', '')}, lock {found['ID']})",
            hint=f"wait for it; if that process is surely dead: lifeboat state unlock {found['ID']}",
        )
    if _LOCKED.search(text) and _NO_LOCK_OF_TERRAFORM.search(text):
        return Locked(
            "the state is locked by something that Terraform did not write, and can neither take nor remove",
            hint="lifeboat state doctor",
        )
    if _DIGEST.search(text):
        return IntegrityFailure(
            "the state and its digest in the lock table disagree, so Terraform refuses to read it",
            hint="lifeboat apply repairs what a killed apply of this machine left, and names the versions otherwise",
        )
    if _NO_PROVIDER.search(text):
        return Unreachable(
            "the hashicorp/aws provider could neither be found in a local mirror nor fetched from the registry",
            hint="set TF_PLUGIN_MIRROR to a folder that holds registry.terraform.io/hashicorp/aws, or allow access to the registry",
        )
    lines = [_line(d) for d in errors] or ["it ended without saying why" + (f"; see {events}" if events else "")]
    return TerraformFailed(redacted(f"{what} failed:\n" + "\n".join(lines)))


def _wrong_inputs(diagnostics: Iterable[Diagnostic], inputs: Sequence[Path]) -> WrongConfiguration | None:
    """Return the error for inputs that Terraform refuses, or cannot read; None where something else went wrong."""
    errors = [d for d in diagnostics if d.severity == "error"]
    if errors and all(d.summary in _WRONG_INPUT or _file_of(d, inputs) for d in errors):
        return _refused_inputs(errors, inputs)
    return None


def _refused_inputs(diagnostics: Sequence[Diagnostic], inputs: Sequence[Path]) -> WrongConfiguration:
    lines = []
    for diagnostic in diagnostics:
        said = diagnostic.detail.strip().split("\n\n")[0]
        if _file_of(diagnostic, inputs):
            said = f"{_short(Path(diagnostic.where))}: {diagnostic.summary}: {said}"
        lines.append(f"  {said}")
    named = [path for path in inputs if any(_file_of(d, [path]) or f'"{path}"' in d.detail for d in diagnostics)]
    files = " and ".join(_short(path) for path in named or inputs[:1]) or "the environment's files"
    return WrongConfiguration(
        redacted("the environment's inputs are refused:\n" + "\n".join(dict.fromkeys(lines))),
        hint=f"edit {files}, then run the same command again",
    )


def _file_of(diagnostic: Diagnostic, inputs: Sequence[Path]) -> bool:
    """Return whether Terraform points into one of these files."""
    return diagnostic.where.rpartition(":")[0] in {str(path) for path in inputs}


def _short(path: Path) -> str:
    """Return a file of an environment as the operator knows it: environments/<file>."""
    return str(Path(*path.parts[-2:]))


def _line(diagnostic: Diagnostic) -> str:
    where = f"  at {diagnostic.where}" if diagnostic.where else ""
    detail = f"\n    {diagnostic.detail.strip()}" if diagnostic.detail else ""
    return f"  {diagnostic.summary.strip()}{where}{detail}"


# -- Terraform's JSON ---------------------------------------------------------------------------------------------


def progress_of(event: Mapping[str, Any]) -> Progress | None:
    """Return the progress that one event line tells of; None for other kinds of event."""
    kinds = {"apply_start": "started", "apply_progress": "running", "apply_complete": "done", "apply_errored": "failed"}
    kind = kinds.get(str(event.get("type")))
    if kind is None:
        return None
    hook = event["hook"]
    return Progress(
        address=Address(hook["resource"]["addr"]),
        kind=kind,  # type: ignore[arg-type]
        action=str(hook.get("action", "")),
        seconds=float(hook.get("elapsed_seconds", 0)),
        id_key=str(hook.get("id_key", "")),
        id_value=str(hook.get("id_value", "")),
    )


def recorded_progress(events: Path) -> list[Progress]:
    """Return all progress in the event file of a run, also of one that was killed."""
    seen: list[Progress] = []
    for line in events.read_text(encoding="utf-8", errors="replace").splitlines():
        with suppress(json.JSONDecodeError):
            found = progress_of(json.loads(line)) if line.startswith("{") else None
            if found is not None:
                seen.append(found)
    return seen


def _change(change: Mapping[str, Any]) -> Change | None:
    resource = change["resource"]
    action = {
        "create": Action.CREATE,
        "update": Action.UPDATE,
        "delete": Action.DELETE,
        "replace": Action.REPLACE,
        "import": Action.IMPORT,
        "remove": Action.FORGET,
        "move": Action.MOVE,
    }.get(change["action"])
    if action is None and "importing" in change:
        action = Action.IMPORT
    if action is None and change["action"] in ("noop", "read"):
        return None
    if action is None:
        # Dropping what we do not know would call a plan empty that is not.
        raise TerraformFailed(f"this Terraform plans an unknown action {change['action']!r} for {resource['addr']}")
    return Change(
        address=Address(resource["addr"]),
        resource_type=resource["resource_type"],
        action=action,
        reason=str(change.get("reason", "")),
    )


def _diagnostic(document: Mapping[str, Any]) -> Diagnostic:
    where = document.get("address", "")
    if not where and "range" in document:
        where = f"{document['range']['filename']}:{document['range']['start']['line']}"
    return Diagnostic(
        severity="error" if document["severity"] == "error" else "warning",
        summary=str(document["summary"]),
        detail=str(document.get("detail", "")),
        where=str(where),
    )
