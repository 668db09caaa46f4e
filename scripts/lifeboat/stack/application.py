"""The application on its living instance, over SSM: what is done to it, and the wait until it is well."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

from lifeboat.clients import probe
from lifeboat.clients.hosts import Hosts
from lifeboat.clients.waiting import Patience, until
from lifeboat.decisions import deployments
from lifeboat.decisions.deployments import Deployment, Expected
from lifeboat.errors import Failed, IntegrityFailure, LifeboatError, Refused, Unreachable, WrongConfiguration
from lifeboat.model import ContainerImage, Deployed, Health, HostScript, InstanceId, Teller
from lifeboat.site import Site
from lifeboat.stack import outputs, public_name

_BACK, _OTHER = "lifeboat app rollback", "lifeboat app redeploy --image IMAGE"
SCRIPT_SECONDS = 600.0  # a pull over a slow line; the container itself starts in seconds
LOOK_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Done:
    """What was done to the application: which image runs, why, what ran before, and what the application answers."""

    instance: InstanceId
    image: ContainerImage
    why: str
    before: Deployed
    health: Health
    url: str
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Verb:
    """One thing to do to the application: what to run, and the script that does it.

    `hint` is what to type where it is refused, `instead` what runs another image where this one turns out bad.
    """

    name: str
    decide: Callable[[Deployed], Deployment]
    script: Callable[[ContainerImage, str], HostScript]
    hint: str
    instead: str


@dataclass(frozen=True, kw_only=True)
class Work:
    """Where a verb is done, for how long it may take the application to be well, and how its steps are written down."""

    site: Site
    tell: Teller
    within: timedelta
    effect: Callable[..., AbstractContextManager[dict[str, Any]]]
    note: Callable[..., None]


RESTART = Verb(
    name="restart",
    decide=deployments.restart,
    script=lambda _image, token: deployments.restarting(token),
    hint="lifeboat app redeploy",
    instead=_BACK,
)
ROLLBACK = Verb(
    name="rollback",
    decide=deployments.rollback,
    script=deployments.rolling_back,
    hint=_OTHER,
    instead=_OTHER,  # another rollback would go forward again
)


def redeployment(image: str | None) -> Verb:
    """Return the verb that fetches an image (None: the one that runs) and runs it in place of the old one."""

    def decide(deployed: Deployed) -> Deployment:
        named = None if image is None else deployments.named(image, deployed)
        if image is not None and named is None:
            raise WrongConfiguration(
                f"{image!r} is no container image", hint="lifeboat app redeploy --image registry.example.com/app:2"
            )
        return deployments.redeployment(deployed, named)

    return Verb(
        name="redeploy",
        decide=decide,
        script=deployments.redeploying,
        hint=_OTHER,
        instead=_BACK,
    )


def perform(work: Work, verb: Verb) -> Done:
    """Do one thing to the application on its instance and wait until it is healthy; the caller holds the environment.

    Raises Refused where the host has nothing to do it with, Unreachable on a dead instance, Failed where the script
    did, IntegrityFailure where the application is not well in time.
    """
    site, began = work.site, time.monotonic()
    recovery = outputs.recovery(site.stack_store())
    instance, hosts = InstanceId(recovery.app.instance_id), site.hosts(recovery.region)
    _require_reachable(site, hosts, instance)
    _end_left_over(work, hosts, instance)
    before = _looked(site, hosts, instance)
    deployment = verb.decide(before)
    if deployment.image is None:
        raise Refused(f"{verb.name} refused, nothing was changed: {deployment.why}", hint=verb.hint)
    path = public_name.door(site, recovery.app).path
    script = deployments.judging(verb.script(deployment.image, str(uuid4())), path)
    work.tell.say(f"{verb.name} on {instance}: {deployment.image} ({deployment.why})")
    order = {"script": script.name, "instance": instance, "container": deployment.image, "token": script.token}
    try:
        with work.effect(f"{verb.name} on {instance}", **order), work.tell.waiting() as show:
            hosts.run(instance, script, Patience(seconds=SCRIPT_SECONDS, tell=show))
    except Failed as error:
        now = deployed_on(site, hosts, instance).running
        state = "nothing runs there now" if now is None else f"{now} runs there now"
        raise Failed(f"{error.summary}\n{state}", hint=verb.instead if now is None else error.hint) from error
    expected = Expected(image=deployment.image, instance=instance)
    try:
        health = wait_healthy(site, work.tell, expected, work.within)
    except IntegrityFailure as error:
        raise IntegrityFailure(error.summary, hint=_unwell(verb.instead)) from error
    work.note(f"{recovery.app.url} is well", answered=health.says)
    return Done(
        instance=instance,
        image=deployment.image,
        why=deployment.why,
        before=before,
        health=health,
        url=recovery.app.url,
        seconds=time.monotonic() - began,
    )


def running_image(site: Site) -> tuple[ContainerImage | None, str]:
    """Return the image that the application says it runs, or else its host; None, and why, where neither tells."""
    recovery = outputs.recovery(site.stack_store())
    app = recovery.app
    # Whoever dumps at night may ask over HTTP, and order nothing on a host.
    health = probe.health(app.address, replace(public_name.door(site, app), name=None), seconds=0)
    said = deployments.reference(health.image or "")
    if said is not None:
        return said, ""
    hosts, instance = site.hosts(recovery.region), InstanceId(app.instance_id)
    try:
        agent = hosts.agent(instance)
        if agent != "online":
            return None, f"the SSM agent of {instance} is {agent}"
        running = _looked(site, hosts, instance).running
    except LifeboatError as error:
        return None, error.summary
    return running, "" if running else f"nothing of it runs on {app.instance_id}"


def deployed_on(site: Site, hosts: Hosts, instance: InstanceId) -> Deployed:
    """Return what is deployed on an instance; raises Unreachable, naming the recovery, when it is dead."""
    _require_reachable(site, hosts, instance)
    return _looked(site, hosts, instance)


def _require_reachable(site: Site, hosts: Hosts, instance: InstanceId) -> None:
    why = deployments.unreachable(hosts.standing(instance))
    if why is not None:
        raise Unreachable(f"{why}, so nothing can be done on it", hint=_recover(site))


def _end_left_over(work: Work, hosts: Hosts, instance: InstanceId) -> None:
    """Cancel what a run that was cut off, or a job of the pipeline, runs there: whoever comes last has the container."""
    for left in hosts.unended(instance):
        if left.script == deployments.LOOK:  # somebody bakes an image; it changes nothing
            continue
        work.tell.warn(f"{left.script} still runs on {instance}, and would replace what is done now; it is cancelled")
        with work.effect(f"cancel {left.script} on {instance}", command=left.id), work.tell.waiting() as show:
            hosts.end(instance, left, Patience(seconds=LOOK_SECONDS, tell=show))


def _looked(site: Site, hosts: Hosts, instance: InstanceId) -> Deployed:
    patience = Patience(seconds=LOOK_SECONDS, tell=lambda _: None)
    try:
        return deployments.deployed(hosts.run(instance, deployments.looking(str(uuid4())), patience))
    except Unreachable as error:
        raise Unreachable(error.summary, hint=error.hint or _recover(site)) from error


def _recover(site: Site) -> str:
    return f"lifeboat recover -e {site.project.env}"


def wait_healthy(site: Site, tell: Teller, expected: Expected, within: timedelta) -> Health:
    """Wait until the application says at its address that it is well; raises IntegrityFailure with its last answer."""
    app = outputs.recovery(site.stack_store()).app
    door, why = replace(public_name.door(site, app), name=None), "it was not asked"

    def ask() -> tuple[Health | None, str]:
        nonlocal why
        health = probe.health(app.address, door, seconds=0)
        unwell = deployments.unwell(health, expected)
        why = unwell or ""
        return (health if unwell is None else None), f"{app.url}{door.path}: {why}"

    with tell.waiting() as show:
        found = until(Patience(seconds=within.total_seconds(), tell=show), ask)
    if found is None:
        raise IntegrityFailure(
            f"{app.url}{door.path} is not well after {within.total_seconds():.0f} s: {why}",
            hint=_unwell(_BACK),
        )
    return found


def _unwell(instead: str) -> str:
    return f"{instead} runs another image; lifeboat app restart tries this one again"
