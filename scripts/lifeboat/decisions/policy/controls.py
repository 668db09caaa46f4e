"""The controls of other standards that the rules answer to, so that an auditor finds them: from a source, or our own choice."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Framework(StrEnum):
    """A standard, by the name that its reports use."""

    CONFIG = "AWS Config"
    FSBP = "AWS Foundational Security Best Practices"
    AUDIT_MANAGER = "AWS Backup Audit Manager"
    WELL_ARCHITECTED = "AWS Well-Architected"
    NIST = "NIST 800-53r5"
    SOC2 = "SOC 2"
    ISO = "ISO 27001:2022"


@dataclass(frozen=True, kw_only=True)
class Control:
    """One control. `sourced`: AWS or a published mapping assigns it to what the rule looks at; else the choice is ours.

    Sources: the conformance packs for AWS Backup and for BCP and DR (awslabs/aws-config-rules), the mappings of
    aws-guard-rules-registry, the list of backup controls in the AWS Backup manual, prowler's compliance files.
    """

    framework: Framework
    name: str
    sourced: bool = True


def config(*names: str, sourced: bool = True) -> tuple[Control, ...]:
    """Return managed rules of AWS Config; not `sourced` where a rule of ours is content with another way as well."""
    return tuple(Control(framework=Framework.CONFIG, name=name, sourced=sourced) for name in names)


def fsbp(*names: str, sourced: bool = True) -> tuple[Control, ...]:
    """Return controls of Security Hub's Foundational Security Best Practices; `sourced` as of `config`."""
    return tuple(Control(framework=Framework.FSBP, name=name, sourced=sourced) for name in names)


def audit_manager(*names: str) -> tuple[Control, ...]:
    """Return controls of AWS Backup Audit Manager."""
    return tuple(Control(framework=Framework.AUDIT_MANAGER, name=name) for name in names)


def well_architected(*names: str) -> tuple[Control, ...]:
    """Return best practices of the Well-Architected Framework."""
    return tuple(Control(framework=Framework.WELL_ARCHITECTED, name=name) for name in names)


def nist(*names: str) -> tuple[Control, ...]:
    """Return controls of NIST 800-53, revision 5."""
    return tuple(Control(framework=Framework.NIST, name=name) for name in names)


def soc2(*names: str, sourced: bool = False) -> tuple[Control, ...]:
    """Return criteria of SOC 2; prowler assigns A1.2 to backups and versioning, the rest is our choice."""
    return tuple(Control(framework=Framework.SOC2, name=name, sourced=sourced) for name in names)


def iso(*names: str, sourced: bool = False) -> tuple[Control, ...]:
    """Return controls of ISO 27001; prowler assigns A.8.13 to plans and vaults, the rest is our choice."""
    return tuple(Control(framework=Framework.ISO, name=name, sourced=sourced) for name in names)
