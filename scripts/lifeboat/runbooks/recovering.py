"""What the steps of a recovery share: the environment, the journal, what was decided, and how things stand now."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Any

from lifeboat import config
from lifeboat.clients import gitlab_api, probe, state_store
from lifeboat.clients.terraform import Running
from lifeboat.decisions import deployments, images, recoveries
from lifeboat.decisions.deployments import Expected
from lifeboat.decisions.drills import Isolation
from lifeboat.errors import Failed, NothingFits, StoppedPartWay
from lifeboat.model import (
    Agree,
    App,
    Choice,
    EventKind,
    Health,
    Image,
    ImageId,
    InstanceId,
    Plan,
    Recovery,
    RecoveryRequest,
    RunId,
    Scope,
    Teller,
    WantedImage,
)
from lifeboat.runner import Journal
from lifeboat.site import Site
from lifeboat.stack import gate, machine_images, outputs, public_name, repair
from lifeboat.stack.applying import Applying

SURE_SECONDS = 10.0  # before an instance is called dead: one that is only slow must not be replaced
_GITLAB_SECONDS = 30.0


@dataclass
class Recovering:
    """One attempt at a recovery. What was decided stands in the journal, so that a later attempt decides the same."""

    site: Site
    tell: Teller
    journal: Journal
    request: RecoveryRequest
    now: Callable[[], datetime]
    agree: Agree
    lost: repair.Lost = field(default_factory=repair.Lost)  # what earlier attempts left, here and elsewhere
    work: Applying | None = None  # None in a preview, which changes nothing
    planned: Plan | None = None
    adoption: Plan | None = None  # of the restored database, by Terraform
    after: Plan | None = None  # what an apply would still change when all is done
    remarks: list[str] = field(default_factory=list)
    isolation: Isolation | None = None  # of a drill: what it makes is in a network of its own, and marked

    # -- what was decided ----------------------------------------------------------------------------------------------

    def fact(self, name: str) -> Any:
        """Return what was last noted under a name; None when nothing was."""
        notes = (event for event in reversed(self.journal.events) if event.kind is EventKind.NOTE)
        return next((event.data[name] for event in notes if name in event.data), None)

    @property
    def began(self) -> datetime:
        """When the first attempt began."""
        return self.journal.events[0].at if self.journal.events else self.now()

    @cached_property
    def choice(self) -> Choice[Image]:
        """The image that would be chosen now, and why not the others."""
        wanted = machine_images.wanted(self.site, image=self.request.image, max_age=self.request.max_age)
        wanted = replace(wanted, accepted=self.request.accepted)
        found = machine_images.chosen(self.site, wanted)
        if found.chosen is None and self.request.image is None and self.request.max_age is None:
            return self._configured(found)
        self._require_acceptable(wanted, found)
        machine_images.require(self.site, wanted, found)
        return found

    def _require_acceptable(self, wanted: WantedImage, found: Choice[Image]) -> None:
        """Raise NothingFits with the command that accepts it when being somebody else's is all that is wrong."""
        named = wanted.image
        if found.chosen is not None or named is None:
            return
        everything = [judged.what for judged in found.rejected]
        if images.choose(everything, replace(wanted, accepted=frozenset({named}))).chosen is not None:
            accept = self.again(replace(self.request, accepted=frozenset({named})))
            raise NothingFits(found.why, hint=f"if you know who made it: {accept}")

    def _configured(self, none: Choice[Image]) -> Choice[Image]:
        """Return the image that the stack was built from, where there is no recovery image: user data does the rest."""
        named = config.image_configured(self.site.project)
        wanted = machine_images.wanted(self.site, image=named)
        if named is None:
            machine_images.require(self.site, wanted, none)
        found = machine_images.chosen(self.site, replace(wanted, accepted=frozenset({named} if named else ())))
        machine_images.require(self.site, wanted, found)
        why = f"there is no recovery image ({none.why}), and it is the one that the stack was built from"
        return Choice(chosen=found.chosen, why=why, rejected=none.rejected, remarks=none.remarks)

    @property
    def image(self) -> ImageId:
        """The image that this recovery launches from."""
        decided = self.fact("image")
        if decided is not None:
            return ImageId(decided)
        chosen = self.choice.chosen
        if chosen is None:
            raise Failed(self.choice.why)
        return chosen.id

    @property
    def old(self) -> InstanceId:
        """The instance that served before."""
        return InstanceId(self.fact("old_instance") or self.app.instance_id)

    @property
    def replaces(self) -> bool:
        """Whether the instance must go although it runs the image that was chosen: it does not serve."""
        decided = self.fact("replaces")
        return bool(decided) if decided is not None else self._would_replace

    @cached_property
    def serves(self) -> bool:
        """Whether the application's health check is well at the instance, asked for some seconds before it is denied."""
        return deployments.unwell(self._asked, Expected(instance=InstanceId(self.app.instance_id))) is None

    @property
    def answer(self) -> str:
        """What its health check answered when that was asked, in words; an application may be ill all the same."""
        return f"HTTP {self._asked.status} at {self.site.project.environment.application.health_path}"

    @cached_property
    def _asked(self) -> Health:
        self.tell.say("asking whether the health check of the application answers")
        return self.health(seconds=SURE_SECONDS)

    @property
    def _would_replace(self) -> bool:
        present = self.site.instances().instance(InstanceId(self.app.instance_id))
        return present is not None and present.image == self.image and not self.serves

    def again(self, request: RecoveryRequest) -> str:
        """Return the command that asks for this recovery once more with what the request wants over that of this one."""
        fixed = self.fact("failed_at")
        failed_at = request.failed_at if fixed is None else datetime.fromisoformat(fixed)
        changed = any(event.kind is EventKind.INTENT for event in self.journal.events)
        whole = request.scope is not Scope.INSTANCE
        wishes = {
            "--scope": request.scope.value if whole else None,
            "--to": None if request.to is None else f"{request.to:%Y-%m-%dT%H:%M:%SZ}",
            "--from": request.copy,
            "--ami": request.image,
            "--accept-foreign-image": "" if request.accepted else None,
            "--failed-at": None if failed_at is None else f"{failed_at:%Y-%m-%dT%H:%M:%SZ}",
            "--max-age": None if request.max_age is None else f"{request.max_age.total_seconds():.0f}s",
        }
        known = self.request.allowed if changed else ()
        flags = [f"--allow '{address}'" for address in request.allowed if address not in known]
        # So does what was accepted of the rules, and which.
        flags += [gate.option(risk) for risk in request.risks if not changed or risk not in self.request.risks]
        flags += ["--without-gitlab"] if request.without_gitlab else []
        # What was accepted stands in the journal of a run that goes on.
        flags += ["--accept-flagged"] if request.accept_flagged and not changed else []
        return recoveries.again(
            wishes, flags, run=RunId(self.journal.run) if changed else None, env=self.site.project.env
        )

    # -- how things stand ----------------------------------------------------------------------------------------------

    @property
    def recovery(self) -> Recovery:
        """The stack's output, as it is now."""
        return outputs.recovery(self.site.stack_store())

    @property
    def app(self) -> App:
        """The application's part of it."""
        return self.recovery.app

    def health(self, *, seconds: float = 0.0) -> Health:
        """Return what the application says at its address."""
        app = self.app
        door = replace(public_name.door(self.site, app), name=None)
        return probe.health(app.address, door, seconds=seconds)

    def recorded(self) -> set[InstanceId]:
        """Return the instances that Terraform's state knows, those that it still has to destroy included."""
        return {InstanceId(instance["attributes"]["id"]) for instance in self._instances()}

    def to_destroy(self) -> set[InstanceId]:
        """Return those of them whose successor is made, and which Terraform could not end yet."""
        return {InstanceId(one["attributes"]["id"]) for one in self._instances() if "deposed" in one}

    def _instances(self) -> list[dict[str, Any]]:
        body = self.site.stack_store().body()
        resources = json.loads(body)["resources"] if body else []
        return [
            instance
            for resource in resources
            if resource["type"] == "aws_instance" and resource["mode"] == "managed"
            for instance in resource["instances"]
        ]

    def serial(self) -> int | None:
        """Return the serial of Terraform's state."""
        body = self.site.stack_store().body()
        return None if body is None else state_store.serial_and_lineage(body)[0]

    def gitlab_patience(self) -> gitlab_api.Patience:
        """Return how long GitLab is waited for: it must not eat the time that a recovery over SSM would take."""
        return gitlab_api.Patience(tell=self.tell.say, seconds=_GITLAB_SECONDS)

    @property
    def has_launched(self) -> bool:
        """Whether the instance is one that this recovery launched, whatever became of the attempt that did."""
        return self.fact("old_instance") not in (None, self.app.instance_id)

    def wait(self, running: Running, *, total: int = 0) -> None:
        """Wait for a Terraform; asked to stop, it saves its state first."""
        try:
            self.applying.wait([running], total=total)
        except StoppedPartWay as error:
            raise StoppedPartWay(error.summary, hint="mend what it says") from error  # the run adds how it goes on
        except KeyboardInterrupt:
            self.applying.interrupt(f"lifeboat resume {self.journal.run}")
            raise
        finally:
            self.tell.resources_end()

    @property
    def applying(self) -> Applying:
        """What carries out Terraform's part; a preview has none."""
        if self.work is None:
            raise Failed("a preview applies nothing")
        return self.work
