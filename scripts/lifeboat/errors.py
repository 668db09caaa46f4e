"""Every error that lifeboat reports, with its exit status; the one table of statuses."""

from __future__ import annotations

DONE = 0
PENDING_CHANGES = 20
OBJECTIVE_MISSED = 10
INTERRUPTED = 130

# Printed by `lifeboat --help` and never renumbered: pipelines test for these.
EXIT_STATUSES: dict[int, str] = {
    0: "done, objectives met",
    1: "failed",
    2: "usage or configuration",
    3: "refused, nothing changed",
    4: "stopped part-way, resumable",
    5: "locked by somebody else",
    6: "nothing fits (no such copy, time outside the window)",
    7: "approval missing",
    8: "a service is unreachable",
    10: "worked, objective missed",
    11: "integrity or probe failure",
    12: "clean-up incomplete",
    20: "changes pending",
    130: "interrupted",
}


class LifeboatError(Exception):
    """What happened, where and which id (`summary`), and the next command to type (`hint`)."""

    exit_status = 1

    def __init__(self, summary: str, *, hint: str = "") -> None:
        super().__init__(summary)
        self.summary = summary
        self.hint = hint


class Failed(LifeboatError):
    """Something that was ordered did not work; nothing else fits better."""

    exit_status = 1


class TerraformFailed(LifeboatError):
    """Terraform ended with an error before or during a change."""

    exit_status = 1


class StepTookTooLong(LifeboatError):
    """A step of a recovery was not done when its time was over."""

    exit_status = 1


class GitLabRefused(LifeboatError):
    """GitLab refused an order with a status and a body of its own; the client that gave it knows what they mean."""

    exit_status = 1

    def __init__(self, summary: str, *, status: int, body: str) -> None:
        super().__init__(summary)
        self.status = status
        self.body = body


class WrongConfiguration(LifeboatError):
    """The environment's files, an option or a prerequisite is wrong; every mistake is listed."""

    exit_status = 2


class NoSuchEnvironment(WrongConfiguration):
    """No files are there for an environment of that name; `meant` is the only one that is nearly called so."""

    def __init__(self, summary: str, *, hint: str = "", meant: str | None = None) -> None:
        super().__init__(summary, hint=hint)
        self.meant = meant


class ScanNotValid(WrongConfiguration):
    """What was to be scanned is no plan, or not the whole of one: nothing was judged, and nothing is good."""


class RoleMissing(WrongConfiguration):
    """A token or role may not do what is asked; whoever may look less must not take that for "it is not there"."""


class Refused(LifeboatError):
    """A safety rule forbids it; nothing was changed."""

    exit_status = 3


class StoppedPartWay(LifeboatError):
    """Part of the work is done; the same command goes on from there."""

    exit_status = 4


class NotYet(StoppedPartWay):
    """What was ordered is refused in the state that the thing passes through; it will be taken afterwards."""


class JobNotBegun(StoppedPartWay):
    """GitLab lets a job wait for longer than it may: a recovery goes around it."""


class Locked(LifeboatError):
    """Somebody else is changing this environment."""

    exit_status = 5


class NothingFits(LifeboatError):
    """There is no such copy, save or time."""

    exit_status = 6


class ChoiceGone(NothingFits):
    """What a run decided on is gone: no attempt can go on with it, and it has to be given up."""


class ApprovalMissing(LifeboatError):
    """A person has to agree and nobody did."""

    exit_status = 7


class Unreachable(LifeboatError):
    """A service did not answer, or refused to let us look."""

    exit_status = 8


class SignInRefused(Unreachable):
    """A database answers, and lets nobody in with the password that is kept for it."""


class NotSeen(Unreachable):
    """A check asked for something that could not be looked at; `call` is what would tell it, as IAM names it."""

    def __init__(self, summary: str, *, call: str) -> None:
        super().__init__(summary)
        self.call = call


class GitLabUnreachable(Unreachable):
    """GitLab did not answer: a recovery goes around it, which no other service allows."""


class NamesUnreachable(LifeboatError):
    """No name server answered: nothing is known about the name."""

    exit_status = 8


class NameServerFailed(LifeboatError):
    """Name servers answered that they cannot say: nothing is known about the name."""

    exit_status = 8


class NoSuchName(LifeboatError):
    """A name server that must know it says that the name does not exist."""

    exit_status = 11


class NoAddress(LifeboatError):
    """A name server that must know it says that the name exists and has no address."""

    exit_status = 11


class IntegrityFailure(LifeboatError):
    """Two things that must agree do not: state and digest, data and fingerprint."""

    exit_status = 11


class NewerFormat(IntegrityFailure):
    """A newer lifeboat wrote it: that this one cannot read it says nothing of it."""


class TooLarge(IntegrityFailure):
    """What stands where a state should is larger than any: it was not read."""


class CleanUpIncomplete(LifeboatError):
    """The work is done but something that had to go is still there."""

    exit_status = 12


class Interrupted(LifeboatError):
    """The operator stopped it."""

    exit_status = INTERRUPTED
