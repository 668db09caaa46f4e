"""PostgreSQL's client programs: those of the server's own major version, else newer ones, never older ones."""

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
        (["18.1", "17.6", "14.20"], 15, "17.6"),
    ],
)
def test_the_clients_of_the_servers_own_version_are_taken(found: list[str], major: int, chosen: str | None) -> None:
    choice = client_versions.choose([programs(version) for version in found], server(major))

    assert (choice.chosen and choice.chosen.version_text) == chosen
    assert [judged.what.version_text for judged in choice.rejected] == [v for v in found if int(v[:2]) < major]


@pytest.mark.parametrize(
    ("version", "remarks"),
    [("15.14", 0), ("15.13", 1), ("16.10", 1), ("16.9", 2), ("17.5", 2), ("18.0", 1)],
)
def test_a_hole_and_a_newer_version_are_remarked(version: str, remarks: int) -> None:
    assert len(client_versions.choose([programs(version)], server(15)).remarks) == remarks
