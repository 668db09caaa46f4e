"""A server that answers the listings of AWS from counts alone: tens of thousands of copies, of which none exists."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any
from urllib.parse import parse_qs, unquote
from wsgiref.types import StartResponse, WSGIEnvironment

import waitress.server
from lifeboat.clients.dump_store import proven_identity
from lifeboat.database_model import DumpId
from lifeboat.decisions import manifests

from tests import dump_manifests

BEGAN = datetime(2024, 1, 1, tzinfo=UTC)
FILE_SIZE = 1000
S3_PAGE, RDS_PAGE, BACKUP_PAGE = 1000, 100, 1000
_OF_ONE = re.compile(r"-([0-9a-f]{6})/$")
FILES = ("data-00.dump.zst", "data-01.dump.zst", "globals.sql.zst", "manifest.json", "schema.dump.zst")


@dataclass(frozen=True, kw_only=True)
class Copies:
    """How many copies there are, and by number the ones that something is wrong with."""

    application: str
    state: dict[str, Any]
    dumps: int
    snapshots: int
    points: int
    failed_dump: int
    altered_dump: int
    unfinished_dump: int
    failed_snapshot: int
    partial_point: int
    refused: str = ""  # the listing of which only the first page is answered
    asked: dict[str, int] = field(default_factory=dict)
    proofs: list[str] = field(default_factory=list)

    def dump(self, number: int) -> str:
        """Return the id of a dump: one an hour."""
        return f"{BEGAN + timedelta(hours=number):%Y%m%dT%H%M%SZ}-{number:06x}"

    def snapshot(self, number: int) -> str:
        """Return the name of a snapshot; names are in the order of their numbers."""
        return f"{self.application}-g1-{number:06}"

    def point(self, number: int) -> str:
        """Return the id of a recovery point."""
        return f"awsbackup:job-{number:06}"

    def files(self, number: int) -> list[str]:
        """Return what lies below a dump, in the order of a listing."""
        at = BEGAN + timedelta(hours=number, minutes=30)
        verdict = "failed" if number == self.failed_dump else "passed"
        files = [file for file in FILES if number != self.unfinished_dump or file != "manifest.json"]
        identity = proven_identity(self.state["outputs"]["recovery"]["value"]["dumps"]["bucket"], f"{number:06}")
        return sorted([*files, f"proofs/{at:%Y%m%dT%H%M%SZ}-2-{verdict}-{identity}.json"])

    @cached_property
    def template(self) -> str:
        """The manifest of a dump of 60 tables, with words in place of what is its own; all are equally long."""
        files = [
            replace(dump_manifests.file(name, 3 * FILE_SIZE), version_id="v-number", etag="e-tag") for name in FILES
        ]
        made = dump_manifests.manifest(
            tables=60,
            application=self.application,
            files=tuple(f for f in files if f.name != "manifest.json"),
            flags=(),
        )
        return manifests.written(replace(made, id=DumpId("d-id"))).decode()

    def manifest(self, number: int) -> str:
        """Return the manifest of a dump: what the listing says of its files but for the one that was altered."""
        told = self.template.replace("d-id", self.dump(number))
        return told.replace("v-number", f"{number:06}").replace("e-tag", f"{number:032x}")


def page(copies: Copies, environ: WSGIEnvironment) -> tuple[str, str]:
    """Return the type and text of an answer; raises KeyError for what no listing asks."""
    path, query = unquote(environ["PATH_INFO"]), parse_qs(environ["QUERY_STRING"], keep_blank_values=True)
    if environ["REQUEST_METHOD"] == "PUT" and "/proofs/" in path:
        copies.proofs.append(path)
        return "application/xml", ""
    if path.endswith("/manifest.json"):
        return "application/json", copies.manifest(int(path.split("/")[-2][-6:], 16))
    if environ.get("HTTP_X_AMZ_TARGET") == "TrentService.DescribeKey":
        return "application/x-amz-json-1.1", json.dumps({"KeyMetadata": {"KeyId": "k", "KeyState": "Enabled"}})
    if environ["REQUEST_METHOD"] == "POST":
        length = int(environ["CONTENT_LENGTH"])
        return "text/xml", _rds(copies, parse_qs(environ["wsgi.input"].read(length).decode()), environ)
    if path.startswith("/backup-vaults/"):
        return "application/json", _vault(copies, query, dr="-dr/" in path)
    if path.startswith("/restore-jobs"):
        return "application/json", json.dumps({"RestoreJobs": []})
    if path.endswith("/stack.tfstate"):
        return "application/json", json.dumps(copies.state)
    if "encryption" in query:
        rule = "<SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>arn:aws:kms:x:1:key/k</KMSMasterKeyID>"
        inner = f"<Rule><ApplyServerSideEncryptionByDefault>{rule}</ApplyServerSideEncryptionByDefault></Rule>"
        tag = "ServerSideEncryptionConfiguration"
        return "application/xml", f"<{tag}>{inner}</{tag}>"
    if "versions" in query:
        return "application/xml", _versions(copies, query)
    raise KeyError(path)


def _require(copies: Copies, listing: str, start: int) -> None:
    """Raise KeyError for a later page of the listing that is refused."""
    if copies.refused == listing and start:
        raise KeyError(f"page 2 of {listing}")


def _versions(copies: Copies, query: dict[str, list[str]]) -> str:
    if not query["prefix"][0].startswith("dumps/"):  # a state's: there is none
        return "<ListVersionsResult><IsTruncated>false</IsTruncated></ListVersionsResult>"
    copies.asked["versions"] = copies.asked.get("versions", 0) + 1
    # The marker is the number of the dump that the next page begins with: whole dumps fit into pages well enough.
    start = int(query.get("version-id-marker", ["0"])[0] or 0)
    _require(copies, "versions", start)
    end = min(start + S3_PAGE // 6, copies.dumps)
    one = _OF_ONE.search(query["prefix"][0])
    if one is not None:  # it is looked at once more
        start, end = int(one[1], 16), int(one[1], 16) + 1
    rows = []
    for number in range(start, end):
        stored = f"{BEGAN + timedelta(hours=number, minutes=5):%Y-%m-%dT%H:%M:%S.000Z}"
        for file in copies.files(number):
            key = f"dumps/x/app/{copies.dump(number)}/{file}"
            etag = f"{number:032x}"
            size = len(copies.manifest(number).encode()) if file == "manifest.json" else FILE_SIZE
            if number == copies.altered_dump and file == "data-01.dump.zst":
                size += 1
            rows.append(
                f"<Version><Key>{key}</Key><VersionId>{number:06}</VersionId><IsLatest>true</IsLatest>"
                f"<LastModified>{stored}</LastModified><ETag>&quot;{etag}&quot;</ETag><Size>{size}</Size>"
                "<StorageClass>STANDARD</StorageClass></Version>"
            )
    more = f"<NextKeyMarker>k</NextKeyMarker><NextVersionIdMarker>{end}</NextVersionIdMarker>"
    goes_on = one is None and end < copies.dumps
    return (
        f"<ListVersionsResult><IsTruncated>{str(goes_on).lower()}</IsTruncated>{more if goes_on else ''}"
        f"{''.join(rows)}</ListVersionsResult>"
    )


def _rds(copies: Copies, asked: dict[str, list[str]], environ: WSGIEnvironment) -> str:
    action, vaulted = asked["Action"][0], asked.get("SnapshotType") == ["awsbackup"]
    counted = f"{action} of AWS Backup" if vaulted else action
    copies.asked[counted] = copies.asked.get(counted, 0) + 1
    if action == "DescribeDBInstanceAutomatedBackups":
        return _xml(action, "<DBInstanceAutomatedBackups/>")
    if action != "DescribeDBSnapshots":
        raise KeyError(action)
    here = "eu-west-1/rds" in environ["HTTP_AUTHORIZATION"]
    every = copies.points if vaulted else copies.snapshots
    start, total = int(asked.get("Marker", ["0"])[0]), every if here else 0
    _require(copies, counted, start)
    end = min(start + RDS_PAGE, total)
    rows = []
    for number in range(start, end):
        name = copies.point(number) if vaulted else copies.snapshot(number)
        at = f"{BEGAN + timedelta(hours=number):%Y-%m-%dT%H:%M:%SZ}"
        kind, failed = ("awsbackup", None) if vaulted else ("manual", copies.failed_snapshot)
        status = "failed" if number == failed else "available"
        rows.append(
            f"<DBSnapshot><DBSnapshotIdentifier>{name}</DBSnapshotIdentifier>"
            f"<DBInstanceIdentifier>{copies.application}-g1</DBInstanceIdentifier><SnapshotType>{kind}</SnapshotType>"
            f"<SnapshotCreateTime>{at}</SnapshotCreateTime><Status>{status}</Status><Encrypted>true</Encrypted>"
            f"<AllocatedStorage>20</AllocatedStorage><KmsKeyId>arn:aws:kms:x:1:key/k</KmsKeyId>"
            f"<DBSnapshotArn>arn:aws:rds:eu-west-1:123456789012:snapshot:{name}</DBSnapshotArn>"
            "<TagList><Tag><Key>environment</Key><Value>x</Value></Tag></TagList></DBSnapshot>"
        )
    marker = f"<Marker>{end}</Marker>" if end < total else ""
    return _xml(action, f"{marker}<DBSnapshots>{''.join(rows)}</DBSnapshots>")


def _xml(action: str, inner: str) -> str:
    result = f"<{action}Result>{inner}</{action}Result>"
    return f"<{action}Response>{result}<ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></{action}Response>"


def _vault(copies: Copies, query: dict[str, list[str]], *, dr: bool) -> str:
    start, total = int(query.get("nextToken", ["0"])[0]), 0 if dr else copies.points
    _require(copies, "vault", start)
    end = min(start + BACKUP_PAGE, total)
    found = [
        {
            "RecoveryPointArn": f"arn:aws:rds:eu-west-1:123456789012:snapshot:{copies.point(number)}",
            "ResourceArn": f"arn:aws:rds:eu-west-1:123456789012:db:{copies.application}-g1",
            "ResourceType": "RDS",
            "CreationDate": (BEGAN + timedelta(hours=number)).timestamp(),
            "Status": "PARTIAL" if number == copies.partial_point else "COMPLETED",
            "BackupSizeInBytes": 1000,
            "IsEncrypted": True,
            "EncryptionKeyArn": "arn:aws:kms:x:1:key/k",
        }
        for number in range(start, end)
    ]
    return json.dumps({"RecoveryPoints": found, **({"NextToken": str(end)} if end < total else {})})


def _tag(path: str) -> str:
    """Return the ETag of an answer: a manifest's is that of its listing."""
    number = _OF_ONE.search(path.removesuffix("manifest.json"))
    return f"{int(number[1], 16) if number else 0:032x}"


@contextmanager
def listing_server(copies: Copies) -> Iterator[str]:
    """Give the URL of a server that answers for as long as this lasts."""

    def application(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        try:
            kind, text = page(copies, environ)
        except KeyError as error:
            start("501 Not Implemented", [("Content-Type", "text/plain")])
            return [str(error).encode()]
        start("200 OK", [("Content-Type", kind), ("ETag", f'"{_tag(environ["PATH_INFO"])}"')])
        return [text.encode()]

    server = waitress.server.create_server(application, host="127.0.0.1", port=0, threads=8)
    thread = threading.Thread(target=server.run, name="listings", daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.effective_port}"  # type: ignore[union-attr]
    server.close()
    thread.join(10)
