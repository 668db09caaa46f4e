"""The next command to type, for the environment that the command before it was for."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

GROUPS = frozenset({"alarms", "ami", "app", "dns", "drill", "gitlab", "local", "retention", "snapshot", "state"})
# They are about no environment, so that none is to be named.
WITHOUT_ENVIRONMENT = frozenset({"policy", "scan"})
VERBS = frozenset(
    {
        "abort",
        "apply",
        "backups",
        "describe",
        "destroy",
        "doctor",
        "dump",
        "keep",
        "logs",
        "plan",
        "plan-recovery",
        "recover",
        "recovery-file",
        "report",
        "restore",
        "resume",
        "retire",
        "runs",
        "status",
        "sweep",
        "verify",
    }
)
DEFAULT = "local"
_COMMAND = re.compile(
    # Of two verbs that begin alike the longer one: plan-recovery is no plan.
    rf"\blifeboat (?:(?:{'|'.join(sorted(GROUPS))}) [a-z]+(?:-[a-z]+)*|(?:{'|'.join(sorted(VERBS, reverse=True))})\b)"
    # What follows it up to where another command may begin says whether it is complete.
    r"(?!(?:(?!\blifeboat |[;&]).)*?(?: -e | --env |--help))",
    re.DOTALL,
)
# A command of the AWS CLI, not what is said of it.
_OF_AWS = re.compile(r"(?<![\w./-])aws (?:s3 [a-z]{2}|[a-z][a-z0-9-]* [a-z]+(?:-[a-z]+)+)\b")


def for_environment(hint: str, env: str | None) -> str:
    """Return the hint with `-e ENV` in each lifeboat command that names none: typed as it stands, it must not hit another.

    None is the environment that a command without a name is for.
    """
    return hint if env is None else _COMMAND.sub(lambda found: f"{found.group()} -e {env}", hint)


def for_shell(hint: str, before: str) -> str:
    """Return the hint with what a shell needs before a command of the AWS CLI, to reach an environment that is not AWS.

    `before` ends with what joins it to the command; it is empty where the shell needs nothing, and AWS itself is meant.
    """
    if not before or before in hint or _OF_AWS.search(hint) is None:
        return hint
    return f"{before}{hint}" if _OF_AWS.match(hint) else f"{hint} (typed after: {before.removesuffix(' && ')})"


def with_environment(arguments: Sequence[str], *, typed: str, meant: str) -> str:
    """Return the command whose arguments these are, for the environment that was meant instead of the one that was typed."""
    forms = {f"-e{typed}": f"-e{meant}", f"--env={typed}": f"--env={meant}"}
    words = [
        meant if word == typed and before in ("-e", "--env") else forms.get(word, word)
        for before, word in zip(["", *arguments], arguments, strict=False)
    ]
    # Typed as the variable ENV, it stands in no argument.
    return shlex.join(["lifeboat", *words, *(["-e", meant] if words == list(arguments) else [])])
