"""environments/<env>.toml: what is accepted, and every mistake at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from lifeboat import config
from lifeboat.errors import NoSuchEnvironment, WrongConfiguration
from lifeboat.gitlab_model import Masking

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
        "  application.account_id: write the 12 digits of an AWS account, in quotes",
        "  application.dr_region: write the code of an AWS region, such as eu-west-1",
        "  state.lock_table: is missing",
        "  state.lock_tabel: is no setting that is known here",
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

    with pytest.raises(WrongConfiguration, match=r"environments/x.toml is not TOML: .*line 1") as mistake:
        config.load(root, "x")

    assert mistake.value.hint == "edit environments/x.toml, then run the same command again"


def test_what_is_not_utf_8_says_where(tmp_path: Path) -> None:
    root = project(tmp_path, GOOD)
    for name in ("x.toml", "x.tfvars"):
        (root / "environments" / name).write_bytes(b"# one\n# \xff\n")

    with pytest.raises(WrongConfiguration, match=r"environments/x.toml is not UTF-8 \(line 2\)") as mistake:
        config.load(root, "x")
    with pytest.raises(WrongConfiguration, match=r"environments/x.tfvars is not UTF-8 \(line 2\)"):
        config.images_named(root)

    assert mistake.value.hint == "edit environments/x.toml, then run the same command again"


@pytest.mark.parametrize("name", ["x.toml", "x.tfvars"])
def test_a_folder_where_a_file_should_be_is_called_that(tmp_path: Path, name: str) -> None:
    root = project(tmp_path, GOOD)
    (root / "environments" / name).unlink()
    (root / "environments" / name).mkdir()

    with pytest.raises(WrongConfiguration, match=f"environments/{name} is a folder, not a file") as mistake:
        config.load(root, "x")

    assert mistake.value.hint == f"move it away and write a file environments/{name}"


@pytest.mark.parametrize(("there", "missing"), [("mine.toml", "mine.tfvars"), ("mine.tfvars", "mine.toml")])
def test_half_an_environment_is_told_which_file_is_missing(tmp_path: Path, there: str, missing: str) -> None:
    root = project(tmp_path, GOOD)
    (root / "environments" / there).write_text(GOOD)

    with pytest.raises(WrongConfiguration, match=f"^environments/{missing} is missing$") as mistake:
        config.load(root, "mine")

    assert mistake.value.hint == f"cp environments/x.{missing.split('.')[1]} environments/{missing}, then edit it"


@pytest.mark.parametrize("env", ["my env", "Größe", "1st", "-x", "a_b", "a" * 32])
def test_a_name_that_the_stack_refuses_names_no_environment(tmp_path: Path, env: str) -> None:
    root = project(tmp_path, GOOD)
    for suffix in ("toml", "tfvars"):
        (root / "environments" / f"{env}.{suffix}").write_text(GOOD)

    with pytest.raises(WrongConfiguration) as mistake:
        config.load(root, env)

    assert config.environments(root) == ["x"]
    assert mistake.value.summary == (
        f"{env!r} cannot name an environment: a name is a lower-case letter, then at most 30 lower-case letters,"
        " digits and hyphens"
    )
    assert mistake.value.hint == f"rename environments/{env}.toml and environments/{env}.tfvars"


@pytest.mark.parametrize(("typed", "meant"), [("staginng", "staging"), ("xa1", None), ("nowhere", None)])
def test_an_unknown_environment_tells_which_one_is_nearly_called_so(
    tmp_path: Path, typed: str, meant: str | None
) -> None:
    root = project(tmp_path, GOOD)
    for name in ("staging", "xa2", "xa3"):
        for suffix in ("toml", "tfvars"):
            (root / "environments" / f"{name}.{suffix}").write_text(GOOD)

    with pytest.raises(NoSuchEnvironment) as mistake:
        config.load(root, typed)

    assert (mistake.value.meant, mistake.value.hint) == (meant, "")


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


# -- GitLab ------------------------------------------------------------------------------------------------------------

GITLAB = GOOD + '[gitlab]\nurl = "https://gitlab.example.com/"\nproject = "group/app"\ntoken_env = "GITLAB_TOKEN"\n'

ENTRY = '[[gitlab.variables]]\nkey = "K"\noutput = "a"\n'


def mistakes(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(WrongConfiguration) as mistake:
        config.load(project(tmp_path, text), "x")
    assert mistake.value.exit_status == 2
    return [line.strip() for line in mistake.value.summary.splitlines()[1:]]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            GOOD.replace("[state]", 'disposable = "no"\n[state]'),
            "application.disposable: write true or false, without quotes",
        ),
        (
            GOOD.replace("[state]", "disposable = 0\n[state]"),
            "application.disposable: write true or false, without quotes",
        ),
        (GOOD.replace('"123456789012"', "123456789012", 1), "application.account_id: write a text in quotes"),
        (GOOD + "[terraform]\nparallelism = true\n", "terraform.parallelism: write a whole number, without quotes"),
        (GOOD + '[terraform]\nplan_minutes = "5"\n', "terraform.plan_minutes: write a whole number, without quotes"),
        (GOOD + "[terraform]\nplan_minutes = 0\n", "terraform.plan_minutes: write 1 or more"),
        (GOOD + "[terraform]\nplan_minutes = 61\n", "terraform.plan_minutes: write 60 or less"),
        (GOOD + "dns = 3\n", "state.dns: is no setting that is known here"),
        ("dns = 3\n" + GOOD, "dns: write a table"),
    ],
)
def test_what_is_expected_is_said_in_words(tmp_path: Path, text: str, line: str) -> None:
    assert mistakes(tmp_path, text) == [line]


@pytest.mark.parametrize(
    ("setting", "line"),
    [
        ("start_minutes = 0", "gitlab.start_minutes: write more than 0.0"),
        ('start_minutes = "3"', "gitlab.start_minutes: write a number, without quotes"),
        ("request_seconds = 1.5", "gitlab.request_seconds: write a whole number, without quotes"),
        ('deploy_job = ""', "gitlab.deploy_job: write at least 1 character"),
        (f'{ENTRY}protected = "no"', 'gitlab.variables.0.protected: write true, false or "leave"'),
        (f'{ENTRY}raw = "no"', "gitlab.variables.0.raw: write true or false, without quotes"),
        (f'{ENTRY}masked = "no"', "gitlab.variables.0.masked: write one of: {masks}"),
        (f'{ENTRY}type = "no"', "gitlab.variables.0.type: write one of: 'env_var' or 'file'"),
        ("variables = 3", "gitlab.variables: write a list in brackets"),
    ],
)
def test_what_is_expected_of_gitlab_is_said_in_words(tmp_path: Path, setting: str, line: str) -> None:
    masks = " or ".join(", ".join(f"'{mask}'" for mask in Masking).rsplit(", ", 1))

    assert mistakes(tmp_path, f"{GITLAB}{setting}\n") == [line.format(masks=masks)]


def test_gitlab_has_sensible_defaults(tmp_path: Path) -> None:
    settings = config.load(project(tmp_path, GITLAB), "x").environment.gitlab

    assert settings is not None
    assert (settings.url, settings.default_branch) == ("https://gitlab.example.com", "main")
    assert (settings.deploy_job, settings.rollback_job) == ("deploy_application", "rollback_application")
    assert settings.variables == ()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://gitlab.example.com", "the token would travel unencrypted"),
        ("http://10.0.0.5", "the token would travel unencrypted"),
        ("http://127.0.0.1.example.com", "the token would travel unencrypted"),
        ("http://localhost.example.com", "the token would travel unencrypted"),
        ("https://user:word@gitlab.example.com", "write the address alone"),
        ("https://gitlab.example.com?x=1", "write the address alone"),
        ("ftp://gitlab.example.com", "begins with https://"),
        ("gitlab.example.com", "write the address alone"),
        ("https://[::1", "write an address such as https://gitlab.example.com"),
        ("https://gitlab.example.com:port", "write an address such as https://gitlab.example.com"),
    ],
)
def test_only_an_encrypted_address_takes_a_token(tmp_path: Path, url: str, words: str) -> None:
    found = mistakes(tmp_path, GITLAB.replace("https://gitlab.example.com/", url))

    assert len(found) == 1
    assert found[0].startswith("gitlab.url: ")
    assert words in found[0]


@pytest.mark.parametrize("url", ["http://127.0.0.1:4566/_gitlab", "http://localhost:8080", "http://[::1]:80"])
def test_loopback_needs_no_encryption(tmp_path: Path, url: str) -> None:
    root = project(tmp_path, GITLAB.replace("https://gitlab.example.com/", url))

    assert config.load(root, "x").environment.gitlab is not None


def test_all_mistakes_in_the_variables_are_reported_at_once(tmp_path: Path) -> None:
    text = (
        GITLAB.replace('token_env = "GITLAB_TOKEN"', 'token_env = "GITLAB_TOKEN"\ntoken_file = "f"')
        + """
[[gitlab.variables]]
key = "1ST"
output = "a"
[[gitlab.variables]]
key = "NO_SOURCE"
[[gitlab.variables]]
key = "TWO"
output = "a.b"
file = "f"
[[gitlab.variables]]
key = "PATH"
output = "a..b"
[[gitlab.variables]]
key = "SHOWN"
secret = "s"
hidden = true
masked = "never"
[[gitlab.variables]]
key = "SCOPE"
output = "a"
scope = "not%a%scope"
[[gitlab.variables]]
key = "KEY_OF_WHAT"
output = "a"
secret_key = "k"
[[gitlab.variables]]
key = "UNKNOWN"
output = "a"
colour = "red"
"""
    )

    found = mistakes(tmp_path, text)

    assert [line.split(":")[0] for line in found] == [
        "gitlab.variables.0.key",
        "gitlab.variables.1",
        "gitlab.variables.2",
        "gitlab.variables.3.output",
        "gitlab.variables.4",
        "gitlab.variables.5.scope",
        "gitlab.variables.6",
        "gitlab.variables.7.colour",
    ]
    assert found[1].endswith("NO_SOURCE needs exactly one of output, file, secret, composed; it says none")
    assert found[2].endswith("TWO needs exactly one of output, file, secret, composed; it says output and file")
    assert found[4].endswith('SHOWN: GitLab masks what it hides; leave out masked = "never"')
    assert found[6].endswith("KEY_OF_WHAT: secret_key goes with secret alone")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (GITLAB.replace('token_env = "GITLAB_TOKEN"\n', ""), "name where the token is"),
        (GITLAB + 'token_file = "f"\n', "name where the token is"),
        (GITLAB + 'token_entry = "tokens.x"\n', "token_entry goes with token_file alone"),
        (GITLAB + 'token = "glpat-secret"\n', "gitlab.token: is no setting that is known here"),
    ],
)
def test_the_token_is_in_one_place_and_never_in_the_file(tmp_path: Path, text: str, words: str) -> None:
    found = "\n".join(mistakes(tmp_path, text))

    assert words in found
    assert "glpat-secret" not in found


def test_a_key_may_be_mapped_once_for_each_scope(tmp_path: Path) -> None:
    entry = '[[gitlab.variables]]\nkey = "KEY"\noutput = "a"\n'

    found = mistakes(tmp_path, GITLAB + entry + entry + entry + 'scope = "*"\n')

    assert found == ["gitlab: variables: more than one entry for KEY"]


@pytest.mark.parametrize("env", ["local", "staging", "production"])
def test_our_environments_write_their_pointers_last(env: str) -> None:
    root = Path(__file__).parent.parent

    settings = config.load(root, env).environment.gitlab

    assert settings is not None
    assert {v.key for v in settings.variables if v.pointer} == {"EC2_INSTANCE_ID", "EC2_INSTANCE_IP"}
    assert {v.key: v.source for v in settings.variables}["DATABASE_URL"] == "composed database_url"
    assert settings.inputs == {"environment": env}


def test_the_retention_of_dumps_has_sensible_defaults_and_whole_numbers(tmp_path: Path) -> None:
    root = project(tmp_path, GOOD)
    path = root / "environments" / "x.toml"

    default = config.load(root, "x").environment.dumps.retention.policy
    path.write_text(GOOD + "[dumps.retention]\nweekly = 0\nverified_level = 3\n")
    chosen = config.load(root, "x").environment.dumps.retention.policy
    path.write_text(GOOD + '[dumps.retention]\ndaily = 0\nweekly = "8"\nverified_level = 5\nhourly = 1\n')
    with pytest.raises(WrongConfiguration) as mistake:
        config.load(root, "x")

    assert (default.daily, default.weekly, default.monthly, default.yearly) == (14, 8, 12, 2)
    assert (default.minimum_verified, default.verified_level) == (2, 2)
    assert (chosen.daily, chosen.weekly, chosen.verified_level) == (14, 0, 3)
    assert sorted(line.strip() for line in mistake.value.summary.splitlines()[1:]) == [
        "dumps.retention.daily: write 1 or more",
        "dumps.retention.hourly: is no setting that is known here",
        "dumps.retention.verified_level: write 4 or less",
        "dumps.retention.weekly: write a whole number, without quotes",
    ]
