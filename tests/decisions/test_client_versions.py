"""PostgreSQL's client programs: those of the server's own major version, and no others."""

from __future__ import annotations

import pytest
from lifeboat.database_model import ClientPrograms, Server
from lifeboat.decisions import client_versions


def programs(version: str) -> ClientPrograms:
    return ClientPrograms(folder=f"/{version}", version=tuple(int(n) for n in version.split(".")))


def server(major: int) -> Server:
    return Server(
        version=f"{major}.4",
        version_number=major * 10_000 + 4,
        encoding="UTF8",
        collation="C",
        character_type="C",
        collation_version="",
        owner="o",
    )


@pytest.mark.parametrize(
    ("found", "major", "chosen"),
    [
        ([], 15, None),
        (["14.22"], 15, None),
        (["17.6", "15.18"], 15, "15.18"),
        (["15.14", "15.18"], 15, "15.14"),  # the first that is found: PATH before packages
        (["18.1", "17.6", "14.20"], 15, None),  # no pg_restore 15 reads what they write
        (["18.1", "17.6", "14.20", "15.18"], 15, "15.18"),
    ],
)
def test_the_clients_of_the_servers_own_version_are_taken(found: list[str], major: int, chosen: str | None) -> None:
    choice = client_versions.choose([programs(version) for version in found], server(major))

    assert (choice.chosen and choice.chosen.version_text) == chosen
    assert [judged.what.version_text for judged in choice.rejected] == [v for v in found if int(v[:2]) != major]


def test_programs_that_do_not_fit_are_refused_with_the_reason() -> None:
    choice = client_versions.choose([programs("14.20"), programs("17.6")], server(15))

    assert choice.why == "no PostgreSQL client of version 15"
    assert [judged.why for judged in choice.rejected] == [
        "14.20 is older than the server's 15.4",
        "17.6 is newer than the server's 15.4",
    ]


_OF_2025 = "CVE-2025-8714, CVE-2025-8715"


@pytest.mark.parametrize(
    ("version", "holes", "closes"),
    [
        ("15.18", None, ""),
        ("15.17", "CVE-2026-6477", "15.18 closes them"),
        ("15.14", "CVE-2026-6477", "15.18 closes them"),
        ("15.13", f"{_OF_2025}, CVE-2026-6477", "15.18 closes them"),
        ("14.23", None, ""),
        ("16.13", "CVE-2026-6477", "16.14 closes them"),
        ("17.5", f"{_OF_2025}, CVE-2026-6477", "17.10 closes them"),
        ("18.0", "CVE-2026-6477", "18.4 closes them"),
        ("18.4", None, ""),
        ("19.0", None, ""),
        ("13.22", "CVE-2026-6477", "no release of 13 closes all of them"),
        ("12.22", f"{_OF_2025}, CVE-2026-6477", "no release of 12 closes all of them"),
    ],
)
def test_a_hole_is_remarked_with_what_closes_it(version: str, holes: str | None, closes: str) -> None:
    remarks = client_versions.choose([programs(version)], server(int(version[:2]))).remarks

    assert remarks == (
        ()
        if holes is None
        else (f"pg_dump {version} has known holes ({holes}); {closes}: update PostgreSQL's client programs",)
    )
