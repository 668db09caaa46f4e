"""What doctor says of the authorities that the database's certificate is checked by."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from lifeboat import config
from lifeboat.commands import doctor
from lifeboat.model import Prerequisite
from lifeboat.site import Site

ENVIRONMENTS = Path(__file__).parents[2] / "environments"


def authorities(root: Path, more: str) -> Prerequisite:
    """Return what is said of them in production, with these lines at the end of its file."""
    (root / "terraform").mkdir()
    shutil.copytree(ENVIRONMENTS, root / "environments")
    (root / "environments" / "bundle.pem").write_text("-")
    with (root / "environments" / "production.toml").open("a") as written:
        written.write(more)
    (found,) = doctor.authorities(Site(config.load(root, "production"), {}))
    return found


@pytest.mark.parametrize(
    ("more", "found", "good"),
    [
        ("", "nobody checks that what answers is the database", False),
        ('[database]\nca_file = "environments/none.pem"\n', "there is no file environments/none.pem", False),
        ('[database]\nca_file = "environments/bundle.pem"\n', "environments/bundle.pem", True),
    ],
)
def test_a_database_that_nobody_checks_is_told_with_where_its_authorities_are(
    tmp_path: Path, more: str, found: str, good: bool
) -> None:
    told = authorities(tmp_path, more)

    assert (told.found, told.good) == (found, good)
    assert told.wanted == "a file that [database] ca_file of environments/production.toml names"
    assert told.fix == (
        "curl -o environments/eu-west-1-bundle.pem https://truststore.pki.rds.amazonaws.com/eu-west-1/eu-west-1-bundle.pem"
    )
