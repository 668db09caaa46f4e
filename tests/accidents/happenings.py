"""The accidents: what happens to the state, in which lock modes, what the doctor must say of it, what Terraform comes to."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lifeboat.state_model import LockMode, StateRoot

from tests.accidents import naive
from tests.accidents.naive import Ends
from tests.accidents.scene import Scene

APPLY_SECONDS = 300
MODES: tuple[LockMode, ...] = ("dynamodb", "lockfile", "both")
WITH_DIGEST: tuple[LockMode, ...] = ("dynamodb", "both")
# What there is nothing to be found in, by lock mode.
UNUSED: dict[LockMode, tuple[str, ...]] = {
    "lockfile": ("stack digest", "stack lock in the table"),
    "dynamodb": ("stack lock file",),
}


@dataclass(frozen=True, kw_only=True)
class Accident:
    """What happens. `finds` are words of what the doctor says, by its check.

    `naive` is where plain Terraform ends, once somebody did what its own messages say; `naive_in` where it ends elsewhere
    in a lock mode. `applied` tells that an apply has to mend more than the state afterwards.
    """

    happens: Callable[[Scene], None]
    finds: dict[str, str]
    naive: Ends
    modes: tuple[LockMode, ...] = MODES
    naive_in: Mapping[LockMode, Ends] = field(default_factory=dict)
    applied: bool = False

    def finds_in(self, mode: LockMode) -> dict[str, str]:
        """Return what the doctor must say in a lock mode."""
        return {check: words for check, words in self.finds.items() if check not in UNUSED.get(mode, ())}


# -- what happens ------------------------------------------------------------------------------------------------------


def copied_over(scene: Scene) -> None:
    version, _ = scene.older()
    source = {"Bucket": scene.bucket, "Key": scene.key(), "VersionId": version}
    scene.client("s3").copy_object(Bucket=scene.bucket, Key=scene.key(), CopySource=source)


def deleted(scene: Scene) -> None:
    scene.delete(scene.key())


def deleted_with_digest(scene: Scene) -> None:
    scene.delete(scene.key())
    scene.delete_digest()


def digest_wrong(scene: Scene) -> None:
    scene.put_digest("0" * 32)


def digest_not_written(scene: Scene) -> None:
    """Let an apply write the state and be refused the digest: the first item that it puts is its lock.

    A quick apply ends with 1 and an errored.tfstate. One that takes so long that Terraform also saves on the way ends with
    0 and says nothing.
    """
    scene.change()
    scene.faults(
        service="dynamodb", operation="PutItem", first=2, times=100_000, code="AccessDeniedException", status=400
    )
    argv, env = scene.terraform("apply", "-auto-approve")
    done = scene.rehearsal.run(*argv, seconds=APPLY_SECONDS, **env)
    scene.faults()
    told = "failed to store state MD5" in naive.in_one_line(done.stdout + done.stderr)
    left = (scene.site.project.stack_root / "errored.tfstate").exists()
    assert (done.returncode, told, left) in ((1, True, True), (0, False, False)), done.stdout + done.stderr


def cut_off(scene: Scene) -> None:
    body = scene.top()
    scene.put(body[: len(body) // 2])


def of_root_1(scene: Scene) -> None:
    """Put the state of root 1 where the stack's belongs: a file taken for another."""
    scene.put(scene.top(StateRoot.BACKEND))


def pushed_lower(scene: Scene) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "old.tfstate"
        # Terraform writes it under the serial that follows its own: of the version before the newest that is no lower one.
        path.write_bytes(scene.older(by=2)[1])
        argv, env = scene.terraform("state", "push", "-force", str(path))
        done = scene.rehearsal.run(*argv, **env)
    assert done.returncode == 0, done.stdout + done.stderr


def apply_killed(scene: Scene) -> None:
    """Kill an apply when it writes what it has made into the state: its lock stays, in each place that the mode has."""
    scene.change()
    argv, env = scene.terraform("apply", "-auto-approve")
    apply = scene.rehearsal.start(*argv, **env)
    own = 0 if scene.mode == "dynamodb" else 1  # of what it puts into the bucket the lock file is the first
    scene.faults(service="s3", operation="PutObject", first=1 + own, kill=apply.pid, status=503)
    printed, _ = apply.communicate(timeout=APPLY_SECONDS)
    scene.faults()
    assert apply.returncode == -9, printed


def table_deleted(scene: Scene) -> None:
    scene.delete_table()


def bucket_deleted(scene: Scene) -> None:
    scene.delete_bucket()


def emptied(scene: Scene) -> None:
    for key in scene.standing():
        scene.delete(key)


def every_version_here_gone(scene: Scene) -> None:
    scene.purge()


def every_version_gone(scene: Scene) -> None:
    scene.purge()
    scene.purge(dr=True)


LOCKED = {"stack lock in the table": "OperationTypeApply", "stack lock file": "OperationTypeApply"}

ACCIDENTS: dict[str, Accident] = {
    "old version copied over the key": Accident(
        happens=copied_over,
        finds={"stack serial": "the serial goes backwards", "stack digest": "an older state was put over it by hand"},
        naive=Ends.MAKES_AGAIN,
    ),
    "object deleted": Accident(
        happens=deleted, finds={"stack object": "a delete marker stands on"}, naive=Ends.MAKES_AGAIN
    ),
    "object and digest deleted": Accident(
        modes=WITH_DIGEST,
        happens=deleted_with_digest,
        finds={"stack object": "a delete marker stands on"},
        naive=Ends.MAKES_AGAIN,
    ),
    "digest wrong": Accident(
        modes=WITH_DIGEST,
        happens=digest_wrong,
        finds={"stack digest": "the digest is that of no version"},
        naive=Ends.GOES_ON,
    ),
    "digest write failed during an apply": Accident(
        modes=WITH_DIGEST,
        happens=digest_not_written,
        finds={"stack digest": "a Terraform wrote the state and not its digest"},
        naive=Ends.GOES_ON,
    ),
    "truncated object": Accident(
        happens=cut_off, finds={"stack readable": "is no state that can be read"}, naive=Ends.REFUSES
    ),
    "object of another lineage": Accident(
        happens=of_root_1, finds={"stack lineage": "not this environment's: of another lineage"}, naive=Ends.MAKES_AGAIN
    ),
    "lower serial pushed with force": Accident(
        happens=pushed_lower, finds={"stack serial": "the serial goes backwards"}, naive=Ends.MAKES_AGAIN
    ),
    "lock left by a killed apply": Accident(happens=apply_killed, finds=LOCKED, naive=Ends.GOES_ON, applied=True),
    "lock table deleted": Accident(
        happens=table_deleted,
        finds={"lock table": "is not there"},
        naive=Ends.REFUSES,
        naive_in={"lockfile": Ends.GOES_ON},
    ),
    "bucket gone, replica used": Accident(
        happens=bucket_deleted, finds={"bucket": "there is no bucket"}, naive=Ends.REFUSES, applied=True
    ),
    "whole bucket emptied, versions remain": Accident(
        happens=emptied,
        finds={"state object": "a delete marker stands on", "stack object": "a delete marker stands on"},
        naive=Ends.MAKES_AGAIN,
    ),
    "every version gone, replica used": Accident(
        happens=every_version_here_gone,
        finds={
            "state object": "neither a version nor a delete marker",
            "stack object": "neither a version nor a delete marker",
        },
        naive=Ends.MAKES_AGAIN,
    ),
    "every version gone": Accident(
        happens=every_version_gone,
        finds={
            "state object": "neither a version nor a delete marker",
            "stack object": "neither a version nor a delete marker",
        },
        naive=Ends.MAKES_AGAIN,
    ),
}
