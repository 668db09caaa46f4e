"""Numbers of things in the words of findings and reports: 1 resource, 2 resources."""

from __future__ import annotations


def counted(number: float, what: str) -> str:
    """Return a number of things that take an s where they are not one."""
    return f"{number:.15g} {what}{'' if number == 1 else 's'}"
