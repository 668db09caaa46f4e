"""environments/<env>.toml: what is accepted, and every mistake at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from lifeboat import config
from lifeboat.errors import WrongConfiguration

GOOD = """
[application]
name = "app-x"
account_id = "123456789012"
region = "eu-west-1"
dr_region = "eu-central-1"
[state]
bucket = "app-x-tfstate-123456789012-eu-west-1"
replica_bucket = "app-x-tfstate-123456789012-eu-central-1"
lock_table = "app-x-tflock"
"""


def project(tmp_path: Path, text: str) -> Path:
    (tmp_path / "environments").mkdir()
    (tmp_path / "terraform").mkdir()
    (tmp_path / "environments" / "x.toml").write_text(text)
    (tmp_path / "environments" / "x.tfvars").write_text("")
    return tmp_path


def test_all_mistakes_are_reported_at_once(tmp_path: Path) -> None:
    text = GOOD.replace("123456789012", "12").replace("eu-central-1", "Frankfurt").replace("lock_table", "lock_tabel")
    root = project(tmp_path, text)

    with pytest.raises(WrongConfiguration) as mistake:
        config.load(root, "x")

    assert mistake.value.summary.splitlines() == [
        "environments/x.toml has 4 mistakes:",
        "  application.account_id: String should match pattern '^[0-9]{12}$'",
        "  application.dr_region: String should match pattern '^[a-z]{2}(-gov|-iso[a-z]?)?-[a-z]+-[0-9]$'",
        "  state.lock_table: Field required",
        "  state.lock_tabel: Extra inputs are not permitted",
    ]
    assert mistake.value.exit_status == 2


def test_copies_in_the_same_region_are_refused(tmp_path: Path) -> None:
    root = project(tmp_path, GOOD.replace("eu-central-1", "eu-west-1"))

    with pytest.raises(WrongConfiguration, match="copies must live in another region"):
        config.load(root, "x")


def test_an_unknown_environment_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    root = project(tmp_path, GOOD)

    with pytest.raises(WrongConfiguration, match="no environment '../x'; environments/ has: x"):
        config.load(root, "../x")


def test_a_state_bucket_that_terraform_would_name_otherwise_is_refused(tmp_path: Path) -> None:
    root = project(tmp_path, GOOD.replace("app-x-tflock", "app-y-tflock"))

    with pytest.raises(WrongConfiguration, match="lock_table must be app-x-tflock"):
        config.load(root, "x")


def test_what_is_not_toml_says_where(tmp_path: Path) -> None:
    root = project(tmp_path, "[application\n")

    with pytest.raises(WrongConfiguration, match=r"environments/x.toml is not TOML: .*line 1"):
        config.load(root, "x")


def test_an_endpoint_may_only_be_on_this_machine(tmp_path: Path) -> None:
    root = project(tmp_path, GOOD + '[endpoint]\nurl = "http://10.0.0.1:4566"\n')

    with pytest.raises(WrongConfiguration, match="endpoint.url"):
        config.load(root, "x")


def test_a_recovery_file_is_read_after_the_committed_inputs(tmp_path: Path) -> None:
    root = project(tmp_path, GOOD)
    (root / "environments" / "x.recovery.tfvars.json").write_text("{}")

    files = [path.name for path in config.load(root, "x").var_files]

    assert files == ["x.tfvars", "x.recovery.tfvars.json"]


def test_every_machine_image_that_a_file_names_is_in_use_even_in_a_comment(tmp_path: Path) -> None:
    root = project(tmp_path, GOOD)
    folder = root / "environments"
    (folder / "x.tfvars").write_text('ami_id = "ami-0123456789abcdef0" # before: ami-01234567\nbad = "ami-xyz"\n')
    (folder / "x.recovery.tfvars.json").write_text('{"ami_id": "ami-0aaaaaaaaaaaaaaaa"}')

    found = [(use.image, use.by) for use in config.images_named(root)]

    assert found == [
        ("ami-0aaaaaaaaaaaaaaaa", "environments/x.recovery.tfvars.json"),
        ("ami-0123456789abcdef0", "environments/x.tfvars"),
        ("ami-01234567", "environments/x.tfvars"),
    ]


@pytest.mark.parametrize(
    ("text", "image"),
    [
        ('instance = {\n  app_image = "app:1"\n}\n', "app:1"),
        ('  app_image="registry.example.com/app:2"', "registry.example.com/app:2"),
        ('# app_image = "app:0"\n', None),
        ("", None),
    ],
)
def test_the_container_image_of_the_inputs_is_read(tmp_path: Path, text: str, image: str | None) -> None:
    root = project(tmp_path, GOOD)
    (root / "environments" / "x.tfvars").write_text(text)

    assert config.app_image_named(config.load(root, "x")) == image


def test_the_checkout_is_found_from_any_folder_in_it(tmp_path: Path) -> None:
    root = project(tmp_path, GOOD)
    inside = root / "terraform" / "stack"
    inside.mkdir()

    assert config.found_root(inside) == root


def test_outside_a_checkout_the_error_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(WrongConfiguration) as mistake:
        config.found_root(tmp_path)

    assert mistake.value.hint == "cd into the checkout, then run the command again"


LOCAL = """
[endpoint]
url = "http://127.0.0.1:4566"
[local_cloud]
command = ["x"]
directory = "x"
network = "127.77"
"""


@pytest.mark.parametrize(
    ("place", "server"),
    [
        ("192.0.2.53:53", ("192.0.2.53", 53)),
        ("[2001:db8::53]:5353", ("2001:db8::53", 5353)),
        ("127.77.192.53:4566", ("127.77.192.53", 4566)),
    ],
)
def test_a_resolver_is_an_address_and_a_port(tmp_path: Path, place: str, server: tuple[str, int]) -> None:
    root = project(tmp_path, GOOD + f'[dns]\nresolver = "{place}"\n')

    assert config.load(root, "x").environment.dns.server == server


@pytest.mark.parametrize(
    "place",
    [
        *("192.0.2.53", "dns.example.org:53", "192.0.2.53:0", "192.0.2.53:65536", "192.0.2.53:"),
        *("2001:db8::53:53", "[192.0.2.53]:53", ":53", ""),
    ],
)
def test_what_is_no_address_and_port_is_no_resolver(tmp_path: Path, place: str) -> None:
    root = project(tmp_path, GOOD + f'[dns]\nresolver = "{place}"\n')

    with pytest.raises(WrongConfiguration, match=r"dns.resolver: .*write an address and a port"):
        config.load(root, "x")


def test_without_a_resolver_there_is_none(tmp_path: Path) -> None:
    assert config.load(project(tmp_path, GOOD), "x").environment.dns.server is None


@pytest.mark.parametrize("place", [None, "127.77.192.53:4567", "127.78.192.53:4566"])
def test_a_local_cloud_without_its_own_name_server_is_refused_with_its_address(
    tmp_path: Path, place: str | None
) -> None:
    dns = "" if place is None else f'[dns]\nresolver = "{place}"\n'
    root = project(tmp_path, GOOD + LOCAL + dns)

    with pytest.raises(WrongConfiguration, match=r'\[local_cloud\] needs \[dns\] resolver = "127.77.192.53:4566"'):
        config.load(root, "x")


def test_a_local_cloud_with_its_name_server_is_accepted(tmp_path: Path) -> None:
    root = project(tmp_path, GOOD + LOCAL + '[dns]\nresolver = "127.77.192.53:4566"')

    assert config.load(root, "x").environment.dns.server == ("127.77.192.53", 4566)


@pytest.mark.parametrize("path", ["healthz", "", "/well done", "http://x/"])
def test_a_health_path_begins_with_a_slash(tmp_path: Path, path: str) -> None:
    root = project(tmp_path, GOOD.replace("[state]", f'health_path = "{path}"\n[state]'))

    with pytest.raises(WrongConfiguration, match="application.health_path"):
        config.load(root, "x")
