"""The start script of the application's instance and the sample application, on a real database."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.conftest import RunningCloud
from tests.localcloud.machines import Machines, asked, until

TEMPLATE = Path(__file__).parents[2] / "modules/app-instance/templates/user_data.sh.tftpl"
VALUES = {
    "application": "app-test",
    "region": "eu-west-1",
    "app_image": "app:1",
    "app_port": "8080",
    "app_secret_name": "app-test/database",
}


def rendered(**values: str) -> str:
    """Return the template as Terraform fills it in; a variable that nobody gives is an error."""
    given = VALUES | values
    filled = re.sub(r"(?<!\$)\$\{(\w+)\}", lambda found: given[found.group(1)], TEMPLATE.read_text())
    return filled.replace("$${", "${").replace("%%{", "%{")


@pytest.fixture(scope="module")
def machines(cloud: RunningCloud) -> Machines:
    return Machines(cloud)


@pytest.fixture(scope="module")
def host(machines: Machines) -> str:
    """Return a host started before there is any database or secret."""
    return machines.launch(rendered())


@pytest.fixture(scope="module")
def url(machines: Machines, host: str) -> str:
    return f"http://{machines.described(host)['PrivateIpAddress']}:8080"


@pytest.fixture(scope="module")
def fresh(machines: Machines) -> str:
    """Return a host of which nobody else's test changes the container."""
    return machines.launch(rendered())


def previous(machines: Machines, host: str) -> str | None:
    """Return what a host remembers to have run before."""
    path = machines.root(host) / "var/lib/app/previous"
    return path.read_text() if path.exists() else None


def kept_script(machines: Machines, host: str, image: str) -> str:
    """Put the start script for an image on a host and return its path there."""
    (machines.root(host) / "opt/start.sh").write_text(rendered(app_image=image))
    return "/opt/start.sh"


def health(url: str) -> tuple[int, dict[str, Any]]:
    status, text = asked(f"{url}/healthz")
    return status, json.loads(text) if status else {}


def database(cloud: RunningCloud, name: str) -> dict[str, Any]:
    rds = cloud.client("rds")
    rds.create_db_instance(
        DBInstanceIdentifier=name,
        Engine="postgres",
        EngineVersion="15",
        DBInstanceClass="db.t4g.small",
        AllocatedStorage=20,
        MasterUsername="app_admin",
        ManageMasterUserPassword=True,
        DBName="app",
    )

    def found() -> dict[str, Any]:
        shape: dict[str, Any] = rds.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"][0]
        return shape

    until(lambda: found()["DBInstanceStatus"] == "available")
    return found()


def connection_secret(shape: dict[str, Any]) -> str:
    return json.dumps(
        {
            "host": shape["Endpoint"]["Address"],
            "port": shape["Endpoint"]["Port"],
            "dbname": shape["DBName"],
            "username": shape["MasterUsername"],
            "password_secret_arn": shape["MasterUserSecret"]["SecretArn"],
        }
    )


@pytest.fixture(scope="module")
def waiting(url: str) -> tuple[int, dict[str, Any]]:
    """Return the health that was told while there was no secret."""
    until(lambda: health(url)[0] == 503)
    return health(url)


@pytest.fixture(scope="module")
def ready(cloud: RunningCloud, url: str, waiting: tuple[int, dict[str, Any]]) -> dict[str, Any]:
    """Return the database that the application found."""
    del waiting
    shape = database(cloud, "app-test-g1")
    cloud.client("secretsmanager").create_secret(Name="app-test/database", SecretString=connection_secret(shape))
    until(lambda: health(url)[0] == 200)
    return shape


def test_the_application_says_what_it_waits_for(waiting: tuple[int, dict[str, Any]], host: str) -> None:
    status, said = waiting

    assert status == 503
    assert said["waits_for"] == "secret app-test/database (ResourceNotFoundException)"
    assert (said["image"], said["instance_id"]) == ("app:1", host)


def test_it_answers_with_rows_as_soon_as_the_database_is_there(url: str, ready: dict[str, Any], host: str) -> None:
    status, text = asked(f"{url}/")
    page = json.loads(text)

    assert status == 200
    assert [note["id"] for note in page["notes"]] == [1, 2, 3]
    assert (page["notes_total"], page["image"], page["instance_id"]) == (3, "app:1", host)
    assert page["database_generation"] == ready["Endpoint"]["Address"]


def test_a_browser_gets_a_page_with_nothing_unescaped(url: str, ready: dict[str, Any]) -> None:
    del ready
    body = json.dumps({"text": "<script>alert(1)</script>"})
    posted = subprocess.run(
        ["curl", "-sf", "-X", "POST", "-H", "Content-Type: application/json", "-d", body, f"{url}/notes"],
        capture_output=True,
        text=True,
        check=True,
    )

    _, page = asked(f"{url}/", headers={"Accept": "text/html"})

    assert json.loads(posted.stdout)["id"] >= 4
    assert "<h1>Notes (" in page
    assert "<script>" not in page


NO_NOTES = {
    "nothing": "",
    "a list": "[]",
    "a text": '"text"',
    "a number": '{"text": 1}',
    "empty": '{"text": ""}',
    "too long": json.dumps({"text": "x" * 1001}),
}


@pytest.mark.parametrize("body", NO_NOTES.values(), ids=NO_NOTES)
def test_what_is_no_note_is_refused_and_not_written(url: str, ready: dict[str, Any], body: str) -> None:
    del ready
    before = json.loads(asked(f"{url}/")[1])["notes_total"]
    request = urllib.request.Request(f"{url}/notes", body.encode(), method="POST")

    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=10)

    assert refused.value.code == 422
    assert "1 to 1000 characters" in json.loads(refused.value.read())["why"]
    assert json.loads(asked(f"{url}/")[1])["notes_total"] == before


def test_docker_sees_it_healthy(machines: Machines, host: str, ready: dict[str, Any]) -> None:
    del ready

    until(lambda: machines.shell(host, "docker inspect app -f '{{.State.Health.Status}}'").out == "healthy\n")


def test_the_password_is_nowhere_but_in_its_secret(
    cloud: RunningCloud, machines: Machines, host: str, url: str, ready: dict[str, Any]
) -> None:
    secrets = cloud.client("secretsmanager")
    password = json.loads(secrets.get_secret_value(SecretId=ready["MasterUserSecret"]["SecretArn"])["SecretString"])[
        "password"
    ]
    seen = [machines.shell(host, "docker inspect app; docker logs app; env").out, asked(f"{url}/healthz")[1]]
    for process in psutil.process_iter():
        try:
            if process.environ().get("LOCALCLOUD_HOST", "").endswith(host):
                seen += [" ".join(process.cmdline()), json.dumps(process.environ())]
        except (psutil.Error, OSError):
            continue
    for folder, _, names in os.walk(machines.root(host)):
        seen += [(Path(folder) / name).read_text(errors="replace") for name in names if (Path(folder) / name).is_file()]
    seen += [path.read_text(errors="replace") for path in (cloud.directory / "logs").glob("*") if path.is_file()]

    assert len(seen) > 10
    assert [text for text in seen if password in text] == []


def test_it_finds_the_database_again_when_it_moved_and_the_password_changed(
    cloud: RunningCloud, url: str, ready: dict[str, Any]
) -> None:
    second = database(cloud, "app-test-g2")
    secrets = cloud.client("secretsmanager")
    secrets.put_secret_value(SecretId="app-test/database", SecretString=connection_secret(second))
    cloud.client("rds").delete_db_instance(DBInstanceIdentifier=ready["DBInstanceIdentifier"], SkipFinalSnapshot=True)

    until(lambda: health(url)[1].get("database_generation") == second["Endpoint"]["Address"])

    assert json.loads(asked(f"{url}/")[1])["notes_total"] == 3


def test_the_start_script_can_run_again_and_writes_names_only(machines: Machines, host: str, url: str) -> None:
    (machines.root(host) / "opt/again.sh").write_text(rendered(app_image="app:2"))

    ended = machines.shell(host, 'bash "$HOST_ROOT/opt/again.sh"')
    until(lambda: asked(f"{url}/version")[0] == 200)

    assert ended.status == "Success", ended.err
    assert json.loads(asked(f"{url}/version")[1]) == {"version": "2", "image": "app:2"}
    assert machines.shell(host, "docker ps -a -q | wc -l").out.strip() == "1"
    settings = (machines.root(host) / "etc/app/app.env").read_text()
    assert settings == "AWS_REGION=eu-west-1\nAPP_IMAGE=app:2\nAPP_SECRET_NAME=app-test/database\nPORT=8080\n"


def test_an_instance_of_a_recovery_image_replaces_the_container_that_came_along_and_remembers_it(
    machines: Machines, host: str
) -> None:
    image = machines.image(host, f"recovery-{time.time_ns()}", NoReboot=True)

    second = machines.launch(rendered(), image=image)
    there = f"http://{machines.described(second)['PrivateIpAddress']}:8080"
    until(lambda: health(there)[0] == 200)

    assert (health(there)[1]["image"], health(there)[1]["instance_id"]) == ("app:1", second)
    assert machines.shell(second, "docker ps -a -q | wc -l").out.strip() == "1"
    assert previous(machines, second) == "app:2\n"


def test_what_ran_before_is_remembered_when_it_was_another_image(machines: Machines, fresh: str) -> None:
    first = previous(machines, fresh)
    again = machines.shell(fresh, f'bash "$HOST_ROOT{kept_script(machines, fresh, "app:1")}"')
    same = previous(machines, fresh)
    other = machines.shell(fresh, f'bash "$HOST_ROOT{kept_script(machines, fresh, "app:2")}"')

    assert [ended.status for ended in (again, other)] == ["Success", "Success"]
    assert (first, same, previous(machines, fresh)) == (None, None, "app:1\n")


def test_without_a_host_root_the_start_script_names_the_hosts_own_files() -> None:
    asked_of_bash = "; ".join(
        line.strip() for line in rendered().splitlines() if line.startswith(("settings=", "previous="))
    )
    paths = subprocess.run(
        ["bash", "-uc", f'{asked_of_bash}; echo "$settings $previous"'],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )

    assert paths.stdout == "/etc/app/app.env /var/lib/app/previous\n"


def test_the_start_script_fails_loudly_for_an_image_that_does_not_exist(machines: Machines, host: str) -> None:
    (machines.root(host) / "opt/wrong.sh").write_text(rendered(app_image="app:9").replace("attempt * 5", "0"))

    ended = machines.shell(host, 'bash "$HOST_ROOT/opt/wrong.sh"')

    assert ended.code == 1
    assert "manifest for app:9 not found" in ended.err
    assert machines.shell(host, "docker inspect app -f '{{.Config.Image}} {{.State.Running}}'").out == "app:2 true\n"


def test_the_start_script_is_clean_shell() -> None:
    checked = subprocess.run(["bash", "-n"], input=rendered(), capture_output=True, text=True, check=False)

    assert (checked.returncode, checked.stderr) == (0, "")
