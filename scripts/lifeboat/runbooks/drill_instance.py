"""The drill of the instance: launched in isolation from the image that a recovery would choose, until its application answers."""

from __future__ import annotations

from datetime import timedelta

from lifeboat.clients.waiting import Patience
from lifeboat.database_model import InstanceSettings
from lifeboat.decisions import drills
from lifeboat.decisions.drill_guard import Deed
from lifeboat.decisions.drills import Answer
from lifeboat.decisions.durations import said
from lifeboat.drill_model import Thing, ThingKind
from lifeboat.errors import Failed, IntegrityFailure, Unreachable
from lifeboat.model import Gap, InstanceId, WorksOn
from lifeboat.runbooks import drilling, next_generation, recover
from lifeboat.runbooks.recovering import Recovering
from lifeboat.runner import Step, Turn
from lifeboat.stack import database_copies, drill_effects, machine_images

_POLL_SECONDS = 2.0
_ASKING_SECONDS = 30.0


def instance_is_at_hand(c: Recovering) -> Gap | None:
    """Look at what would stop the launch later; raises what does."""
    drills.require_instance(drilling.isolation(c).network, c.site.project.env)
    recover.require_room(c, c.app.instance_type)
    return None


# -- the image -----------------------------------------------------------------------------------------------------------


def image_is_chosen(c: Recovering) -> Gap | None:
    """Is the image decided on?"""
    if c.fact("image") is not None:
        return None
    image, choice = machine_images.latest(c.site, None)
    return Gap(text=f"{image.id} ({image.name}, {said(c.now() - image.taken_at)} old): {choice.why}")


def choose_image(c: Recovering, turn: Turn) -> None:
    """Choose as a recovery would, and write down the image, and why it and not the others.

    The image that the stack was built from is none for a drill: it has no application yet, and nothing can be fetched.
    """
    image, choice = machine_images.latest(c.site, None)
    turn.note(
        f"{image.id} ({image.name}): {choice.why}",
        image=image.id,
        name=image.name,
        why_image=choice.why,
        rejected={judged.what.id: judged.why for judged in choice.rejected},
    )


# -- what the application is told ----------------------------------------------------------------------------------------


def _secret(c: Recovering) -> Thing:
    return drilling.thing(c, ThingKind.SECRET, suffix=drills.SECRET_SUFFIX)


def is_told(c: Recovering) -> Gap | None:
    """Is there a secret that leads the application to the restored database?"""
    there = c.site.drill_things().standing(_secret(c))
    return None if there is not None else Gap(text=f"there is no secret {_secret(c).id}")


def tell_it(c: Recovering, turn: Turn) -> None:
    """Make one of its own, under the key of the database's password: nothing of production's is led anywhere."""
    found = next_generation.instance(c)
    if found is None:
        raise Failed("there is no restored database")
    settings: InstanceSettings = database_copies.settings(c.site)
    database = next_generation.stack_with(c, found).database
    thing, tags = _secret(c), drilling.drill(c).tags
    with turn.effect(f"make the secret {thing.id}", **drill_effects.about(Deed.MAKE, thing)):
        c.site.drill_things().make_secret(thing, drills.secret(database), tags, settings.password_key)


# -- the instance --------------------------------------------------------------------------------------------------------


def _instance(c: Recovering) -> Thing:
    return drilling.thing(c, ThingKind.INSTANCE)


def is_launched(c: Recovering) -> Gap | None:
    """Does an instance of this drill run, and does its agent answer?"""
    instance = c.site.drill_things().instance_id(_instance(c))
    if instance is None:
        return Gap(text=f"there is no instance {_instance(c).id}")
    standing = c.site.hosts(c.recovery.region).standing(instance)
    if standing.state != "running":
        return Gap(text=f"{instance} is {standing.state}")
    return None if standing.agent == "online" else Gap(text=f"the agent of {instance} is {standing.agent}")


def launch(c: Recovering, turn: Turn) -> None:
    """Launch it once, with the role and the network of drills, and wait until its agent answers."""
    things, thing, isolation = c.site.drill_things(), _instance(c), drilling.isolation(c)
    if things.instance_id(thing) is None:
        root = things.root_of(c.image, c.recovery.region)
        if root is None:
            raise Failed(f"{c.image}, which this drill has chosen, is gone")
        order = drills.launch(isolation, c.app, c.image, root)
        with turn.effect(f"launch {thing.id} from {c.image}", **drill_effects.about(Deed.MAKE, thing)) as came:
            came["instance"] = things.launch(thing, order, isolation.drill.tags)
    with c.tell.waiting() as show:
        while (gap := is_launched(c)) is not None:
            show(gap.text)
            turn.sleep(_POLL_SECONDS)


# -- until it answers ----------------------------------------------------------------------------------------------------


def application_answers(c: Recovering) -> Gap | None:
    """Is it written down that the application answered on the drill's instance?"""
    return None if c.fact("answered") is not None else Gap(text="the application on it was not asked yet")


def wait_for_application(c: Recovering, turn: Turn) -> None:
    """Ask it on its own host, over SSM, until it answers: with the restored database well, without one at all."""
    instance = c.site.drill_things().instance_id(_instance(c))
    if instance is None:
        raise Failed(f"there is no instance {_instance(c).id}")
    number = 0
    with c.tell.waiting() as show:
        while True:
            number += 1
            answer = _asked(c, turn, instance, number)
            why = answer if isinstance(answer, str) else drills.unwell(answer, drilling.drill(c))
            if why is None:
                break
            show(f"{instance}: {why}")
            turn.sleep(_POLL_SECONDS)
    if isinstance(answer, str):
        raise Failed(answer)
    health = answer.health
    turn.note(f"{instance} answers: HTTP {health.status}, {health.says}", answered=instance, status=health.status)


def _asked(c: Recovering, turn: Turn, instance: InstanceId, number: int) -> Answer | str:
    """Ask once; return what was answered, or in words why nobody could ask."""
    path, token = c.site.project.environment.application.health_path, f"{c.journal.run}-{number}"
    patience = Patience(
        seconds=min(_ASKING_SECONDS, max(1.0, turn.seconds_left)), tell=lambda _: None, sleep=turn.sleep
    )
    try:
        said_ = c.site.hosts(c.recovery.region).run(instance, drills.asking(path, token), patience)
    except (Failed, Unreachable) as error:
        return error.summary
    return drills.answered(said_, str(instance))


# -- with which database ---------------------------------------------------------------------------------------------------


def is_connected(c: Recovering) -> Gap | None:
    """Is it written down that the application works on the restored database?"""
    return None if c.fact("works_on") else Gap(text=f"nobody has asked {next_generation.named(c)} who works on it")


def look_who_is_connected(c: Recovering, turn: Turn) -> None:
    """Ask the restored database until it has a session of the application, and the one in service that it has none of it.

    Raises IntegrityFailure where the drill's instance reached the database in service: the isolation does not hold.
    """
    found = next_generation.instance(c)
    if found is None:
        raise Failed("there is no restored database")
    recovery, restored = c.recovery, c.site.database_answers(next_generation.stack_with(c, found))
    with c.tell.waiting() as show:
        while (why := drills.not_connected(restored.sessions(), recovery.database.username)) is not None:
            show(why)
            turn.sleep(_POLL_SECONDS)
    address = c.site.drill_things().private_address(_instance(c))
    reached = drills.reached_production(c.site.database_answers(recovery).sessions(), address)
    if reached is not None:
        raise IntegrityFailure(
            f"the drill is not isolated: the database in service {recovery.database.identifier} has a session of {reached}",
            hint="look at what leads out of the drill network: its route tables, peerings and security groups",
        )
    turn.note(
        f"the application works on {found.identifier}, and nothing of the drill on {recovery.database.identifier}",
        works_on=WorksOn.NEW.value,
        works_on_why=f"{found.identifier} has sessions of {recovery.database.username}",
    )


# -- afterwards ----------------------------------------------------------------------------------------------------------


def boot_is_noted(c: Recovering) -> Gap | None:
    """Does the image say that a host booted from it and its application answered?"""
    found = c.site.images().image(c.image, c.recovery.region)
    if found is None or found.owner_id != c.site.owner().account_id:
        return None
    if found.proven_at is not None and found.proven_at >= c.began.replace(microsecond=0):
        return None
    return Gap(text=f"{c.image} does not say that it boots and answers")


def note_boot(c: Recovering, turn: Turn) -> None:
    """Write it on the image, for whoever chooses next."""
    found = c.site.images().image(c.image, c.recovery.region)
    if found is not None:
        with turn.effect(f"tag {c.image} as proven", proves=c.image):
            c.site.images().mark_proven(found, c.now())


ANSWERED = "answers"
CHOICE: tuple[Step[Recovering], ...] = (
    Step(name="room", title="Look at everything that the launch needs", check=instance_is_at_hand),
    Step(
        name="image",
        title="Choose the image that a recovery would take",
        check=image_is_chosen,
        do=choose_image,
    ),
)
TOLD: Step[Recovering] = Step(
    name="secret", title="Make a secret that leads to the restored database", check=is_told, do=tell_it
)
CONNECTED: Step[Recovering] = Step(
    name="sessions",
    title="Ask the databases which one the application works on",
    check=is_connected,
    do=look_who_is_connected,
    limit=timedelta(minutes=5),
)
LAUNCHED: tuple[Step[Recovering], ...] = (
    Step(
        name="instance",
        title="Launch the instance in isolation",
        check=is_launched,
        do=launch,
        limit=timedelta(minutes=30),
    ),
    Step(
        name=ANSWERED,
        title="Ask the application on it until it answers",
        check=application_answers,
        do=wait_for_application,
        limit=timedelta(minutes=30),
    ),
)
PROVEN: Step[Recovering] = Step(
    name="proven",
    title="Note that the image boots",
    check=boot_is_noted,
    do=note_boot,
    may_stay_open=(Unreachable,),
)
STEPS: tuple[Step[Recovering], ...] = (CHOICE[0], drilling.DECLARED, CHOICE[1], *LAUNCHED, PROVEN)
