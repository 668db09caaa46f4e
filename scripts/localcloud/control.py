"""The control port: what `lifeboat local …` asks of a running cloud, as JSON under /_localcloud/."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localcloud import saved_state
from localcloud.cloud import Cloud
from localcloud.operations import Answer
from localcloud.schedules import SCHEDULES, fire
from localcloud.trees import copy_but_link

if TYPE_CHECKING:
    from localcloud.faults import Faults
    from localcloud.gitlab.server import GitLab

LOG = logging.getLogger("localcloud.control")
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
AUTOSAVE_QUIET_SECONDS = 1.0
AUTOSAVE_AGAIN_SECONDS = 4.0  # after a failure, such as a full disk


class Wrong(Exception):
    """The caller asked for something impossible; the text says what and what to do, `kind` of which sort it is."""

    kind = "usage"


class Missing(Wrong):
    """There is no such save."""

    kind = "missing"


class Exists(Wrong):
    """What would be written is there already."""

    kind = "exists"


class Damaged(Wrong):
    """A save cannot be loaded; all is as it was."""

    kind = "damaged"


class Control:
    """Saving, loading, ticking and stopping of one cloud."""

    def __init__(self, cloud: Cloud, stop: Callable[[], None]) -> None:
        self.cloud = cloud
        self.faults: Faults | None = None
        self.gitlab: GitLab | None = None
        self.started_at = time.time()
        self.last_save_error: str | None = None
        self.ready = threading.Event()  # set from the end of `open` to the begin of `close`
        self._stop = stop
        self._writing = threading.Lock()

    # -- over HTTP -----------------------------------------------------------------------------------------------

    def answer(self, environ: dict[str, Any]) -> Answer:
        """Answer one control request; mistakes of the caller are 400 with the reason."""
        verb = str(environ["PATH_INFO"]).removeprefix("/_localcloud/").strip("/")
        if verb == "task-credentials":
            return self._credentials(str(environ.get("HTTP_AUTHORIZATION", "")))
        try:
            # A browser page on this machine may send requests here too, but cannot set this header unasked.
            if verb != "health" and environ.get("HTTP_X_LOCALCLOUD") != "1":
                raise Wrong("send the header X-Localcloud: 1")
            body = environ["wsgi.input"].read() or b"{}"
            result = self._do(verb, json.loads(body))
        except (Wrong, TypeError, ValueError) as error:
            return _json(400, {"error": str(error), "kind": getattr(error, "kind", Wrong.kind)})
        except Exception as error:
            LOG.exception("control request %s failed", verb)
            return _json(500, {"error": f"{type(error).__name__}: {error}"})
        return _json(200, result)

    def _credentials(self, token: str) -> Answer:
        """Answer a container that asks for the credentials of its task's role, with the token that it was given."""
        from localcloud import tasks

        found = tasks.of(self.cloud).credentials(token)
        return (
            _json(403, {"code": "AccessDenied", "message": "no task has this token"})
            if found is None
            else _json(200, found)
        )

    def _do(self, verb: str, asked: dict[str, Any]) -> dict[str, Any]:
        if verb == "health":
            return self.health()
        if verb == "save":
            return self.save(str(asked.get("name", "")), replace=asked.get("replace") is True)
        if verb == "load":
            return self.load(str(asked.get("name", "")))
        if verb == "tick":
            return self.tick(str(asked.get("schedule", "")))
        if verb == "break":
            return self.strike(str(asked.get("what", "")))
        if verb == "quota":
            return self.change_quota(str(asked.get("region", "")), float(asked["vcpus"]))
        if verb == "faults":
            return self.change_faults(asked)
        if verb == "gitlab":
            return self.turn_gitlab(asked)
        if verb == "stop":
            threading.Thread(target=self._stop, name="stop").start()
            return {"stopping": True}
        raise Wrong(f"no such control request: {verb}")

    # -- verbs ---------------------------------------------------------------------------------------------------

    def health(self) -> dict[str, Any]:
        """Return who is running, since when (in seconds since 1970), and why the state was not written, if it wasn't.

        Not ready means that it is still loading its state, or that it is ending: AWS requests wait.
        """
        return {
            "program": "localcloud",
            "pid": os.getpid(),
            "ready": self.ready.is_set(),
            "directory": str(self.cloud.directory),
            "endpoint": self.cloud.endpoint,
            "network": self.cloud.network,
            "name_server": "{}:{}".format(*self.cloud.name_server),
            "started_at": self.started_at,
            "user": self.cloud.user.name,
            "last_save_error": self.last_save_error,
        }

    def save(self, name: str, *, replace: bool = False) -> dict[str, Any]:
        """Copy the whole state, files included, to saves/NAME; an older save gives way at the end, if it is to."""
        _named(name)
        started = time.monotonic()
        target = self.cloud.directory / "saves" / name
        if target.exists() and not replace:
            raise Exists(f"there is a save named {name} already")
        fresh = target.with_name(f".{name}.new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.parent.mkdir(parents=True, exist_ok=True)
        with self._writing, self.cloud.gate.alone():
            self.cloud.processes.pause()
            try:
                self._write_state()
                copy_but_link(self.cloud.live, fresh, self.cloud.written_once)
            finally:
                self.cloud.processes.resume()
        old = target.with_name(f".{name}.old")
        shutil.rmtree(old, ignore_errors=True)
        if target.exists():
            target.rename(old)
        fresh.rename(target)
        shutil.rmtree(old, ignore_errors=True)
        return {"saved": name, "seconds": round(time.monotonic() - started, 2)}

    def load(self, name: str) -> dict[str, Any]:
        """Go back to saves/NAME: everything that runs is stopped, files and state are replaced, then started again.

        A save that is damaged, or of another version, is refused before anything is stopped; when the rest fails, the
        state before the load is brought back.
        """
        _named(name)
        started = time.monotonic()
        source = self.cloud.directory / "saves" / name
        if not (source / "cloud.state").is_file():
            raise Missing(f"there is no save named {name}")
        fresh, old = self._fresh, self._old
        with self._writing:
            shutil.rmtree(fresh, ignore_errors=True)
            copy_but_link(source, fresh, self.cloud.written_once)
            try:
                state = saved_state.verified((fresh / "cloud.state").read_bytes())
            except saved_state.DamagedState as error:
                shutil.rmtree(fresh, ignore_errors=True)
                raise Damaged(f"the save {name} cannot be loaded: {error}") from error
            with self.cloud.gate.alone():
                self._write_state()  # what to go back to
                self.cloud.end()
                shutil.rmtree(old, ignore_errors=True)
                self.cloud.live.rename(old)
                fresh.rename(self.cloud.live)
                try:
                    saved_state.load(self.cloud, state)
                    self.cloud.start()
                except Exception as error:
                    LOG.exception("the save %s could not be loaded", name)
                    self._go_back()
                    reason = f"{type(error).__name__}: {error}"
                    raise Damaged(f"the save {name} could not be loaded, all is as it was: {reason}") from error
            shutil.rmtree(old, ignore_errors=True)
        return {"loaded": name, "seconds": round(time.monotonic() - started, 2)}

    @property
    def _fresh(self) -> Path:
        return self.cloud.directory / ".live.new"

    @property
    def _old(self) -> Path:
        return self.cloud.directory / ".live.old"

    def _go_back(self) -> None:
        """Return to the folder and state that a load put aside."""
        self.cloud.end()
        self.cloud.live.rename(self._fresh)
        self._old.rename(self.cloud.live)
        saved_state.load(self.cloud, saved_state.verified((self.cloud.live / "cloud.state").read_bytes()))
        self.cloud.start()
        shutil.rmtree(self._fresh, ignore_errors=True)

    def tick(self, schedule: str) -> dict[str, Any]:
        """Fire everything that is due daily, or monthly, now; return what was started, in words."""
        if schedule not in SCHEDULES:
            raise Wrong(f"no schedule named {schedule!r}; write one of: {', '.join(SCHEDULES)}")
        self.ready.wait()
        done = fire(self.cloud, schedule)
        self.cloud.changed()
        return {"schedule": schedule, "fired": done}

    def strike(self, what: str) -> dict[str, Any]:
        """Let a disaster happen now; return what it did, in words."""
        from localcloud import disasters

        if what not in disasters.DISASTERS:
            raise Wrong(f"no disaster named {what!r}; write one of: {', '.join(disasters.DISASTERS)}")
        self.ready.wait()
        try:
            return {"broke": what, "done": disasters.strike(self.cloud, what)}
        except disasters.NothingToBreak as error:
            raise Missing(str(error)) from error

    def change_quota(self, region: str, vcpus: float) -> dict[str, Any]:
        """Change how many vCPUs of instances may run in a region."""
        from localcloud.services import quotas

        quotas.change_limit(self.cloud, region, vcpus)
        return {"region": region, "vcpus": vcpus}

    def change_faults(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Add the rule `add`, or drop all with `clear`; return the rules in force."""
        if self.faults is None:
            raise Wrong("this cloud injects no faults")
        if asked.get("clear"):
            self.faults.clear()
        if "add" in asked:
            self.faults.add(asked["add"])
        return {"faults": self.faults.listed()}

    def turn_gitlab(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Turn what the API of a real GitLab does not offer (gitlab/knobs.py); return how all of it stands."""
        if self.gitlab is None:
            raise Wrong("this cloud has no GitLab")
        self.ready.wait()
        return self.gitlab.turn(asked)

    # -- what survives a restart ---------------------------------------------------------------------------------

    def open(self) -> str:
        """Read the state left by the last run and start what was running; return what was found, in words.

        A damaged state is put aside, never deleted, and the cloud starts empty: `apply` then builds it anew. Call it
        alone in the gate: what a request changed meanwhile would be lost.
        """
        if self._old.exists() and not self.cloud.live.exists():  # killed in the middle of a load
            self._old.rename(self.cloud.live)
        for left in (self._fresh, self._old):
            shutil.rmtree(left, ignore_errors=True)
        path = self.cloud.live / "cloud.state"
        found = "empty"
        if path.is_file():
            try:
                saved_state.load(self.cloud, saved_state.verified(path.read_bytes()))
                found = "continued"
            except Exception as error:
                LOG.exception("the state of the last run is unreadable")
                saved_state.reset()
                aside = self.cloud.directory / f"damaged-{int(time.time())}"
                self.cloud.live.rename(aside)
                found = f"damaged ({error}); put aside as {aside.name}"
        self.cloud.live.mkdir(parents=True, exist_ok=True)
        self.cloud.start()
        self.ready.set()
        return found

    def keep_saving(self) -> None:
        """Write the state soon after each change, until the cloud stops."""
        while not self.cloud.stopping.is_set():
            if not self.cloud.dirty.wait(0.5):
                continue
            self.cloud.stopping.wait(AUTOSAVE_QUIET_SECONDS)
            try:
                self.write()
            except Exception:
                LOG.exception("the state could not be written")
                self.cloud.stopping.wait(AUTOSAVE_AGAIN_SECONDS)

    def write(self) -> None:
        """Write the state now."""
        with self._writing, self.cloud.gate.alone():
            self._write_state()

    def close(self) -> None:
        """Write the state for the last time and stop everything that runs, even when the write fails.

        Requests that come meanwhile get no answer: one executed after the write would be acknowledged and then lost.
        """
        self.ready.clear()
        with self._writing:
            self.cloud.gate.close()
            try:
                self._write_state()
            finally:
                self.cloud.end()

    def _write_state(self) -> None:
        self.cloud.dirty.clear()
        try:
            self._replace_state()
        except Exception as error:
            self.cloud.dirty.set()
            self.last_save_error = f"{type(error).__name__}: {error}"
            raise
        self.last_save_error = None

    def _replace_state(self) -> None:
        data = saved_state.dumped(self.cloud)
        path = self.cloud.live / "cloud.state"
        fresh = path.with_suffix(".new")
        with fresh.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)


def _named(name: str) -> None:
    if not NAME.fullmatch(name):
        raise Wrong(f"{name!r} cannot name a save: use lower-case letters, digits, dots and dashes")


def _json(status: int, document: dict[str, Any]) -> Answer:
    return Answer(status, [("Content-Type", "application/json")], json.dumps(document).encode())
