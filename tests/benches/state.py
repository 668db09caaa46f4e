"""A state's history listed, and two states compared, by the commands as people type them: `make bench`, or this module alone.

LIFEBOAT_BENCH_VERSIONS: how many versions are listed, "100 1000"; LIFEBOAT_BENCH_ROUNDS: how often each way is measured.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

from tests.benches import measuring
from tests.benches.measuring import Meters, Work
from tests.conftest import RunningCloud, open_folder, start_cloud, stop_cloud
from tests.rehearsal import CLEAN, ROOT
from tests.state_sites import StateSite, md5, resource, state, state_site

VERSIONS = "100 1000"
ROUNDS = "3"
_OF_A_STACK = 200  # resources of a state that is listed: what one application has, some 450 KB
_COMPARED = 2000
_PUTS_AT_ONCE = 8


def main() -> int:
    """Measure both, and print a table of each."""
    rounds = int(os.environ.get("LIFEBOAT_BENCH_ROUNDS", ROUNDS))
    with _cloud() as cloud, open_folder() as folder:
        works: list[Work] = []
        for count in map(int, os.environ.get("LIFEBOAT_BENCH_VERSIONS", VERSIONS).split()):
            works += _listings(cloud, count, folder / str(count))
        works.append(_comparing(cloud, folder / "two"))
        meters = Meters(server=lambda: _seconds(cloud), sink=lambda: 0.0, folder=folder)
        title = f"Terraform's state; a listed version has {_OF_A_STACK} resources"
        for line in measuring.table(title, measuring.interleaved(works, meters, rounds)):
            print(line, flush=True)
    return 0


@contextmanager
def _cloud() -> Iterator[RunningCloud]:
    with open_folder() as directory:
        running = start_cloud(directory / "cloud")
        try:
            yield running
        finally:
            stop_cloud(running)


def _seconds(cloud: RunningCloud) -> float:
    times = psutil.Process(cloud.process.pid).cpu_times()
    return times.user + times.system


def _listings(cloud: RunningCloud, count: int, folder: Path) -> list[Work]:
    """Return a listing on a machine that never read a version of it, and the same once more."""
    folder.mkdir()
    site = state_site(cloud, folder)
    s3 = cloud.client("s3", max_pool_connections=_PUTS_AT_ONCE)

    def put(serial: int) -> None:
        s3.put_object(Bucket=site.bucket, Key="stack.tfstate", Body=state(serial, resources(_OF_A_STACK, serial)))

    with ThreadPoolExecutor(_PUTS_AT_ONCE) as pool:
        list(pool.map(put, range(1, count)))
    put(count)
    site.write_digest(md5(state(count, resources(_OF_A_STACK, count))))
    known = site.plain.root / ".lifeboat" / "x" / "known-versions"
    first = _lifeboat(f"state list, {count} versions, first", site, "state", "list")
    return [
        replace(first, before=lambda: shutil.rmtree(known, ignore_errors=True)),
        _lifeboat(f"state list, {count} versions, again", site, "state", "list"),
    ]


def _comparing(cloud: RunningCloud, folder: Path) -> Work:
    folder.mkdir()
    site = state_site(cloud, folder)
    old = site.put(state(1, resources(_COMPARED, 1)))
    new = site.put(state(2, resources(_COMPARED, 2)))
    name = f"state diff, two states of {_COMPARED} resources"
    command = f"lifeboat state diff {old} {new} -e x; test $? = 20"
    return Work(name=name, argv=["bash", "-c", command], env=_env(), cwd=folder)


def _lifeboat(name: str, site: StateSite, *words: str) -> Work:
    return Work(name=name, argv=["lifeboat", *words, "-e", "x"], env=_env(), cwd=site.plain.root)


def _env() -> dict[str, str]:
    return {
        **CLEAN,
        "PATH": f"{ROOT / '.venv' / 'bin'}{os.pathsep}{CLEAN['PATH']}",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def resources(count: int, serial: int) -> Sequence[dict[str, Any]]:
    """Return resources as a state has them, a tenth of which each serial changes."""
    return [_resource(number, serial if number % 10 == 0 else 0) for number in range(count)]


def _resource(number: int, serial: int) -> dict[str, Any]:
    secret = f"password-{number}-{serial}"
    attributes = {
        "id": f"i-{number:017x}",
        "arn": f"arn:aws:ec2:eu-west-1:123456789012:instance/i-{number:017x}",
        "ami": f"ami-{serial:017x}",
        "availability_zone": "eu-west-1a",
        "password": secret,
        "tags": {"application": "app", "environment": "x", "managed-by": "lifeboat", "serial": str(serial)},
        "ebs_block_device": [{"device_name": f"/dev/sd{one}", "volume_size": 20, "encrypted": True} for one in "fgh"],
        "metadata_options": [{"http_tokens": "required", "http_endpoint": "enabled"}],
        **{f"setting_{one}": f"value {one} of {number}" for one in range(10)},
        **{f"empty_{one}": None for one in range(10)},
    }
    instance = {
        "index_key": f"k{number}",
        "schema_version": 1,
        "attributes": attributes,
        "sensitive_attributes": [[{"type": "get_attr", "value": "password"}]],
        "private": "eyJzY2hlbWFfdmVyc2lvbiI6IjEifQ==",
        "dependencies": ["module.network.aws_subnet.this", "module.network.aws_vpc.this"],
    }
    return resource("aws_instance", f"r{number}", instance, module=f"module.m{number % 20}")


if __name__ == "__main__":
    sys.exit(main())
