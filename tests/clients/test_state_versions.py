"""The versions of a state in S3: to the last page, by their ids, and never fewer than there are."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
from botocore.config import Config
from lifeboat.clients.known_versions import KnownVersions
from lifeboat.clients.run_spans import UNKNOWN, RunSpans
from lifeboat.clients.state_versions import Reading, StateVersions, local_file, options
from lifeboat.decisions import state_documents
from lifeboat.errors import NothingFits, Unreachable, WrongConfiguration
from lifeboat.model import RunId
from lifeboat.state_model import (
    KnownVersion,
    StateEntry,
    StateFacts,
    StateHistory,
    StatePlace,
    StateRoot,
    VersionId,
)

from tests.state_sites import LINEAGE, md5, state

KEY = "stack.tfstate"
PLACE = StatePlace(root=StateRoot.STACK, bucket="b", key=KEY, region="eu-west-1", keeps_digest=True, replica=False)
Answer = tuple[tuple[int, str], bytes, dict[str, str]]  # status, body, headers


def ok(body: bytes, **headers: str) -> Answer:
    return (200, "OK"), body, headers


def error(status: str, code: str) -> Answer:
    number, _, reason = status.partition(" ")
    return (int(number), reason), f"<Error><Code>{code}</Code><Message>said so</Message></Error>".encode(), {}


def version(number: int, *, latest: bool = False, key: str = KEY, kind: str = "Version") -> str:
    size = "<ETag>&quot;e&quot;</ETag><Size>9</Size><StorageClass>STANDARD</StorageClass>" if kind == "Version" else ""
    return (
        f"<{kind}><Key>{key}</Key><VersionId>v{number}</VersionId><IsLatest>{str(latest).lower()}</IsLatest>"
        f"<LastModified>2026-03-01T12:00:{number:02}.000Z</LastModified>{size}</{kind}>"
    )


def page(*entries: str, more: str = "") -> Answer:
    truncated = "true" if more else "false"
    text = f"<ListVersionsResult><Name>b</Name><IsTruncated>{truncated}</IsTruncated>{more}{''.join(entries)}</ListVersionsResult>"
    return ok(text.encode())


@contextmanager
def serving(answer: Callable[[dict[str, str]], Answer]) -> Iterator[Any]:
    """Run a server that answers each request by its query; gives a client of S3 that tries once."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            query = {
                name: values[0] for name, values in parse_qs(urlsplit(self.path).query, keep_blank_values=True).items()
            }
            if "Range" in self.headers:
                query["range"] = self.headers["Range"]
            status, body, headers = answer(query)
            self.send_response(*status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        yield boto3.client(
            "s3",
            region_name="eu-west-1",
            endpoint_url=f"http://127.0.0.1:{server.server_port}",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"}, read_timeout=5),
        )
        server.shutdown()
        thread.join(5)


NOWHERE = KnownVersions(path=Path(__file__) / "known.json")  # below a file nothing can be written, and nothing is there


def versions(
    s3: Any, read: Callable[[bytes], StateFacts] = state_documents.facts, known: KnownVersions = NOWHERE
) -> StateVersions:
    return StateVersions(s3=s3, place=PLACE, reading=Reading(facts=read, known=known), digest=lambda: "d")


def test_all_pages_are_put_together_newest_first_and_the_lock_file_left_out() -> None:
    def answer(query: dict[str, str]) -> Answer:
        if query.get("version-id-marker") == "v3":
            return page(version(2), version(1), version(9, key=f"{KEY}.tflock"))
        more = f"<NextKeyMarker>{KEY}</NextKeyMarker><NextVersionIdMarker>v3</NextVersionIdMarker>"
        return page(version(5, latest=True), version(3), version(4, kind="DeleteMarker"), more=more)

    with serving(answer) as s3:
        found = versions(s3).listed()

    assert [(one.version_id, one.latest, one.marker, one.size) for one in found] == [
        ("v5", True, False, 9),
        ("v4", False, True, None),
        ("v3", False, False, 9),
        ("v2", False, False, 9),
        ("v1", False, False, 9),
    ]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (page(version(1, latest=True), more="<MaxKeys>1</MaxKeys>"), "there are more, and S3 does not say where"),
        (ok(b""), "the answer is cut off"),
        (ok(page(version(1))[1][:-30]), "cannot list the versions of s3://b/stack.tfstate"),
        (error("403 Forbidden", "AccessDenied"), "AccessDenied: said so"),
        (error("500 Internal Server Error", "InternalError"), "InternalError: said so"),
    ],
)
def test_a_listing_that_is_not_whole_is_unreachable_never_shorter(answer: Answer, why: str) -> None:
    with serving(lambda _: answer) as s3, pytest.raises(Unreachable, match=why) as found:
        versions(s3).history()

    assert found.value.summary.startswith("cannot list the versions of s3://b/stack.tfstate")


def test_a_second_page_that_fails_is_unreachable_too() -> None:
    more = f"<NextKeyMarker>{KEY}</NextKeyMarker><NextVersionIdMarker>v1</NextVersionIdMarker>"

    def answer(query: dict[str, str]) -> Answer:
        return error("403 Forbidden", "AccessDenied") if "version-id-marker" in query else page(version(1), more=more)

    with serving(answer) as s3, pytest.raises(Unreachable, match="AccessDenied") as found:
        versions(s3).listed()

    assert found.value.hint == "where permissions refuse it: take a role that has s3:ListBucketVersions on b"


def bodies(**by_version: Answer) -> Callable[[dict[str, str]], Answer]:
    listed = [version(int(name[1:]), latest=number == 0) for number, name in enumerate(reversed(by_version))]

    def answer(query: dict[str, str]) -> Answer:
        return page(*listed) if "versions" in query else by_version[query["versionId"]]

    return answer


def test_each_version_says_what_it_is_or_why_it_cannot() -> None:
    metadata = {
        "x-amz-meta-lifeboat-by": "eva@laptop",
        "x-amz-meta-lifeboat-run": "r",
        "x-amz-meta-lifeboat-from": "v1",
    }
    answers = bodies(
        v1=ok(state(7), **metadata),
        v2=ok(state(8)[:-20]),
        v3=error("400 Bad Request", "KMS.DisabledException"),
        v4=error("403 Forbidden", "InvalidObjectState"),
        v5=error("404 Not Found", "NoSuchVersion"),
        v6=ok(b""),
    )

    with serving(answers) as s3:
        found = versions(s3).history()

    assert [(one.version_id, one.damage) for one in found.entries] == [
        ("v6", "it is empty"),
        ("v5", "it went away while it was listed"),
        ("v4", "S3 does not give it: InvalidObjectState"),
        ("v3", "S3 does not give it: KMS.DisabledException"),
        ("v2", f"not JSON: cut off at byte {len(state(8)) - 20}"),
        ("v1", None),
    ]
    whole = found.entries[-1]
    assert whole.facts == StateFacts(
        serial=7, lineage=LINEAGE, terraform_version="1.11.4", resources=0, environment=None
    )
    assert (whole.md5, whole.by) == (md5(state(7)), "eva@laptop, run r, of version v1")
    assert (found.digest, found.keeps_digest, found.bucket) == ("d", True, "b")
    assert found.current is not None
    assert found.current.version_id == "v6"


def test_one_version_that_may_not_be_read_makes_all_unreachable() -> None:
    answers = bodies(**{f"v{n}": ok(state(n)) for n in range(1, 30)}, v30=error("403 Forbidden", "AccessDenied"))

    with serving(answers) as s3, pytest.raises(Unreachable, match="cannot read version v30 of s3://b/") as found:
        versions(s3).history()

    assert found.value.hint == "where permissions refuse it: take a role that has s3:GetObjectVersion on b"


def test_a_digest_that_may_not_be_read_names_the_permission_and_the_copy_that_needs_none() -> None:
    def digest() -> str:
        raise Unreachable("cannot read the state digest in t: AccessDenied")

    reading = Reading(facts=state_documents.facts, known=NOWHERE)

    with serving(bodies(v1=ok(state(1)))) as s3, pytest.raises(Unreachable, match="AccessDenied") as found:
        StateVersions(s3=s3, place=PLACE, reading=reading, digest=digest).history()

    assert found.value.hint == (
        "where permissions refuse it: take a role that has dynamodb:GetItem on the lock table;"
        " lifeboat state list --replica needs none"
    )


def test_bodies_are_reduced_one_at_a_time_and_how_far_it_is_is_told() -> None:
    inside, highest, told = 0, 0, []
    counting = threading.Lock()

    def read(body: bytes) -> StateFacts:
        nonlocal inside, highest
        with counting:
            inside += 1
            highest = max(highest, inside)
        found = state_documents.facts(body)
        with counting:
            inside -= 1
        return found

    with serving(bodies(**{f"v{n}": ok(state(n)) for n in range(1, 41)})) as s3:
        found = versions(s3, read).history(told.append)

    assert [one.facts.serial for one in found.entries if one.facts is not None] == list(range(40, 0, -1))
    assert highest == 1
    assert told[-1] == "read 40 of 40 versions of s3://b/stack.tfstate"


# -- what is remembered ------------------------------------------------------------------------------------------------


def listed_twice(
    known: KnownVersions, before: dict[str, Answer], after: dict[str, Answer]
) -> tuple[StateHistory, StateHistory, list[tuple[str, str]]]:
    """Return the histories of two listings, and of the second one what was asked for: ids with ranges."""
    asked: list[tuple[str, str]] = []
    by_version = before

    def answer(query: dict[str, str]) -> Answer:
        if "versions" not in query:
            asked.append((query["versionId"], query.get("range", "")))
        return bodies(**by_version)(query)

    with serving(answer) as s3:
        first = versions(s3, known=known).history()
        by_version = after
        asked.clear()
        return first, versions(s3, known=known).history(), sorted(asked)


def written(number: int, etag: str = "e") -> Answer:
    return ok(state(number), ETag=f'"{etag}{number}"', **{"x-amz-meta-lifeboat-by": "eva"})


def test_of_a_version_that_was_read_once_only_the_first_byte_is_read_but_of_the_latest_all(tmp_path: Path) -> None:
    known = KnownVersions(path=tmp_path / "made" / "known.json")
    answers = {f"v{n}": written(n) for n in (1, 2, 3)}

    first, second, asked = listed_twice(known, answers, answers)

    assert first.entries == second.entries
    assert [(one.by, one.md5) for one in second.entries] == [("eva", md5(state(n))) for n in (3, 2, 1)]
    assert asked == [("v1", "bytes=0-0"), ("v2", "bytes=0-0"), ("v3", "")]
    assert known.path.stat().st_mode & 0o777 == 0o600


def test_a_version_that_can_no_longer_be_read_says_so_whatever_is_remembered(tmp_path: Path) -> None:
    known = KnownVersions(path=tmp_path / "known.json")
    answers = {f"v{n}": written(n) for n in (1, 2, 3)}
    gone = {
        **answers,
        "v1": error("400 Bad Request", "KMS.DisabledException"),
        "v2": error("404 Not Found", "NoSuchVersion"),
    }

    _, second, _ = listed_twice(known, answers, gone)

    assert [(one.damage, one.facts) for one in second.entries[1:]] == [
        ("it went away while it was listed", None),
        ("S3 does not give it: KMS.DisabledException", None),
    ]
    assert known.read(PLACE).keys() == {"v3"}


def test_a_version_that_may_no_longer_be_read_is_unreachable_whatever_is_remembered(tmp_path: Path) -> None:
    answers = {f"v{n}": written(n) for n in (1, 2)}
    refused = {**answers, "v1": error("403 Forbidden", "AccessDenied")}

    with pytest.raises(Unreachable, match="cannot read version v1 of s3://b/stack.tfstate: AccessDenied"):
        listed_twice(KnownVersions(path=tmp_path / "known.json"), answers, refused)


def test_what_has_another_etag_or_is_no_state_is_read_whole_again(tmp_path: Path) -> None:
    before = {"v1": written(1), "v2": ok(state(2)[:-9], ETag='"e2"'), "v3": written(3)}
    after = {**before, "v1": written(1, etag="other")}

    _, second, asked = listed_twice(KnownVersions(path=tmp_path / "known.json"), before, after)

    assert asked == [("v1", ""), ("v1", "bytes=0-0"), ("v2", ""), ("v3", "")]
    assert second.entries[2].etag == '"other1"'
    assert second.entries[1].damage == f"not JSON: cut off at byte {len(state(2)) - 9}"


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"",
        lambda body: body[:-1],
        lambda body: body.replace(b'"form":1', b'"form":2'),
        lambda body: body.replace(b'"bucket":"b"', b'"bucket":"c"'),
        lambda body: body.replace(b'"serial":1', b'"serial":"1"'),
        lambda body: body.replace(b'"md5"', b'"md6"'),
    ],
)
def test_a_memory_that_is_not_what_it_should_be_is_none(damage: Callable[[bytes], bytes], tmp_path: Path) -> None:
    known = KnownVersions(path=tmp_path / "known.json")
    entry = StateEntry(
        version_id=VersionId("v1"),
        written_at=datetime(2026, 3, 1, tzinfo=UTC),
        latest=False,
        md5="m",
        facts=state_documents.facts(state(1)),
        etag="e",
    )
    known.remember(PLACE, [entry, replace(entry, version_id=VersionId("null"))])
    assert known.read(PLACE) == {"v1": KnownVersion(etag="e", md5="m", facts=state_documents.facts(state(1)))}

    known.path.write_bytes(damage(known.path.read_bytes()))

    assert known.read(PLACE) == {}


@pytest.mark.parametrize(
    "answer",
    [
        error("404 Not Found", "NoSuchVersion"),
        error("404 Not Found", "NoSuchKey"),
        error("400 Bad Request", "InvalidArgument"),
        error("405 Method Not Allowed", "MethodNotAllowed"),
    ],
)
def test_a_version_that_is_none_fits_nothing(answer: Answer) -> None:
    with serving(lambda _: answer) as s3, pytest.raises(NothingFits) as found:
        versions(s3).body(VersionId("v9"))

    assert found.value.summary == "there is no version v9 of s3://b/stack.tfstate"
    assert found.value.hint == "lifeboat state list lists them all"


@pytest.mark.parametrize("ask", [StateVersions.listed, lambda client: client.body(VersionId("v1"))])
def test_a_bucket_that_is_not_there_fits_nothing_and_the_doctor_is_named_who_looks_into_both(
    ask: Callable[[StateVersions], object],
) -> None:
    with (
        serving(lambda _: error("404 Not Found", "NoSuchBucket")) as s3,
        pytest.raises(NothingFits, match="there is no state bucket b in eu-west-1") as found,
    ):
        ask(versions(s3))

    assert found.value.hint == "lifeboat state doctor"


def test_a_version_is_given_as_it_is_and_a_refusal_is_none() -> None:
    with serving(bodies(v1=ok(state(1)))) as s3:
        assert versions(s3).body(VersionId("v1")) == state(1)
    with serving(lambda _: error("403 Forbidden", "AccessDenied")) as s3, pytest.raises(Unreachable):
        versions(s3).body(VersionId("v1"))


def test_the_options_by_which_a_state_is_meant() -> None:
    def place(root: StateRoot, *, replica: bool) -> StatePlace:
        return StatePlace(root=root, bucket="b", key="k", region="r", keeps_digest=False, replica=replica)

    assert [options(place(root, replica=replica)) for root in StateRoot for replica in (False, True)] == [
        " --root state",
        " --root state --replica",
        "",
        " --replica",
    ]


def test_a_file_that_cannot_be_read_is_a_wrong_option(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")

    assert local_file(tmp_path / "a") == b"x"
    with pytest.raises(WrongConfiguration, match="No such file or directory"):
        local_file(tmp_path / "b")


# -- runs --------------------------------------------------------------------------------------------------------------


def runs_page(*keys: tuple[str, int]) -> Answer:
    rows = "".join(
        f"<Contents><Key>{key}</Key><LastModified>2026-03-01T12:00:{second:02}.000Z</LastModified><Size>1</Size></Contents>"
        for key, second in keys
    )
    return ok(f"<ListBucketResult><IsTruncated>false</IsTruncated>{rows}</ListBucketResult>".encode())


def test_the_time_of_a_run_is_that_of_its_lines_and_what_this_machine_wrote_down_counts_more(tmp_path: Path) -> None:
    ended, going, here = (f"20260301T1200{n:02}.000000Z-recover" for n in (0, 10, 20))
    listing = runs_page(
        (f"runs/{ended}/000001.json", 0),
        (f"runs/{ended}/000002.json", 5),
        (f"runs/{ended}/ended", 6),
        (f"runs/{going}/000001.json", 10),
        (f"runs/{going}/000002.json", 12),
        (f"runs/{here}/000001.json", 20),
        ("runs/gitlab-sync/000001.json", 30),
        ("runs/last-good.json", 31),
    )
    folder = tmp_path / "runs" / "one"
    folder.mkdir(parents=True)
    folder.joinpath("run.json").write_text(
        f'{{"run": "{here}", "user": "eva", "host": "laptop", "since": "2026-03-01T12:00:19+00:00",'
        ' "terraform": [{"pid": 1, "at": 1772366425.0}]}'
    )
    (tmp_path / "runs" / "damaged").mkdir()
    (tmp_path / "runs" / "damaged" / "run.json").write_text("{")

    with serving(lambda _: listing) as s3:
        found = {span.run: span for span in RunSpans(s3=s3, bucket="b", work=tmp_path).all()}

    assert {
        run: (span.begun.second, span.last.second, span.ended.second if span.ended else None, span.by)
        for run, span in found.items()
    } == {ended: (0, 6, 6, None), going: (10, 12, None, None), here: (19, 25, None, "eva@laptop")}


def test_who_began_a_run_stands_in_its_first_line(tmp_path: Path) -> None:
    def who(answer: Answer) -> str:
        with serving(lambda _: answer) as s3:
            return RunSpans(s3=s3, bucket="b", work=tmp_path).who(RunId("r"))

    assert who(ok(b'{"data": {"user": "eva", "host": "laptop"}}')) == "eva@laptop"
    assert {who(ok(b"{}")), who(ok(b"x")), who(error("404 Not Found", "NoSuchKey"))} == {UNKNOWN}
    with pytest.raises(Unreachable, match="AccessDenied"):
        who(error("403 Forbidden", "AccessDenied"))
