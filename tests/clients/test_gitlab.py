"""The way to GitLab: what it answers, what it refuses, where the token goes, and how long anything may take."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from lifeboat.clients.gitlab import GitLab
from lifeboat.clients.gitlab_api import GitLabApi, Order, Patience
from lifeboat.clients.gitlab_pipelines import GitLabPipelines
from lifeboat.errors import GitLabRefused, GitLabUnreachable, LifeboatError, RoleMissing, WrongConfiguration
from lifeboat.gitlab_model import Doing, JobId, PipelineId, Role, RunnerFacts, Variable, VariableChange, VariableName
from lifeboat.model import Secret

from tests.conftest import free_port
from tests.localcloud.gitlab_places import MANUAL, LocalGitLab, local_gitlab
from tests.loopback_servers import saying

TOKEN = "glpat-canary-token-0123"
VALUE = "canary-value-4567"


@pytest.fixture(scope="module")
def local() -> Iterator[LocalGitLab]:
    with local_gitlab() as running:
        yield running


@dataclass
class Calm:
    """Patience that does not really wait."""

    told: list[str] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)

    def patience(self, seconds: float = 60.0) -> Patience:
        return Patience(tell=self.told.append, sleep=self.slept.append, seconds=seconds)


def api(url: str, token: str = TOKEN, seconds: float = 5, calm: Calm | None = None) -> GitLabApi:
    patience = (calm or Calm()).patience()
    return GitLabApi(url=url, project="demo/app", token=Secret(token), limits=(seconds, patience))


def on(local: LocalGitLab, who: str = "maintainer", calm: Calm | None = None) -> GitLabApi:
    place = local.place(who)
    return api(place.url, place.token, 20, calm)


def variable(key: str = "KEY", value: str = VALUE, **more: Any) -> Variable:
    return Variable(name=VariableName(key=key, scope="production"), value=Secret(value), **more)


def problem_of(call: Callable[[], Any], kind: type[LifeboatError]) -> LifeboatError:
    """Return the error that a call ends with, which shows neither token nor value."""
    with pytest.raises(kind) as caught:
        call()
    assert type(caught.value) is kind
    shown = f"{caught.value.summary} {caught.value.hint} {caught.value!r}"
    assert TOKEN not in shown
    assert VALUE not in shown
    return caught.value


# -- variables on a GitLab that behaves --------------------------------------------------------------------------------


@pytest.fixture
def empty(local: LocalGitLab) -> Iterator[GitLab]:
    client = GitLab(on(local))
    yield client
    local.cloud.control("faults", clear=True)
    for found in client.variables():
        client.delete(found.name)


def test_a_variable_comes_back_as_it_was_written(empty: GitLab) -> None:
    wanted = variable(
        value="a $dollar, \"quotes\", 'more', #, ümläut\nand a line\n",
        variable_type="file",
        protected=True,
        raw=True,
        description="Why",
    )

    made = empty.create(wanted)

    assert made == wanted
    assert empty.variable(wanted.name) == wanted
    assert empty.variables() == [wanted]


def test_only_the_named_attributes_of_the_named_scope_are_changed(empty: GitLab) -> None:
    empty.create(variable(masked=True, protected=True, description="Why"))
    other = Variable(name=VariableName(key="KEY", scope="staging"), value=Secret("other-value"))
    empty.create(other)
    after = variable(value="changed-value", masked=True, protected=True, description="Why")

    changed = empty.change(
        VariableChange(name=after.name, doing=Doing.UPDATE, before=variable(), after=after, attributes=("value",))
    )

    assert changed == after
    assert {str(v.name): v for v in empty.variables()} == {"KEY (production)": after, "KEY (staging)": other}


def test_a_key_in_one_other_scope_is_neither_found_changed_nor_moved_nor_deleted(empty: GitLab) -> None:
    other = Variable(name=VariableName(key="KEY", scope="staging"), value=Secret("other-value"))
    empty.create(other)
    after = variable()

    found = empty.variable(after.name)
    changed = empty.change(
        VariableChange(name=after.name, doing=Doing.UPDATE, before=after, after=after, attributes=("value",))
    )
    empty.delete(after.name)

    assert (found, changed) == (None, None)
    assert empty.variables() == [other]


def test_a_key_that_is_taken_is_told_from_one_that_is_made(empty: GitLab) -> None:
    empty.create(variable())

    assert empty.create(variable(value="another-value")) is None
    assert empty.variable(variable().name) == variable()


def test_a_hidden_variable_has_no_value_to_see(empty: GitLab) -> None:
    made = empty.create(variable(hidden=True, masked=True))

    assert made == Variable(name=variable().name, value=None, hidden=True, masked=True)


def test_all_pages_of_variables_are_read(empty: GitLab) -> None:
    wanted = {f"KEY_{number}" for number in range(123)}
    for key in wanted:
        empty.create(variable(key))

    assert {v.name.key for v in empty.variables()} == wanted


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (variable(value="two words", masked=True), "it cannot mask the value"),
        (variable("NOT-A-KEY"), "it does not take the key or the scope"),
        (variable(description="x" * 300), "its description, key or scope is too long"),
    ],
)
def test_what_gitlab_does_not_take_is_said_in_our_words(empty: GitLab, made: Variable, why: str) -> None:
    problem = problem_of(lambda: empty.create(made), GitLabRefused)

    assert problem.summary == f"cannot create the variable {made.name}: GitLab answers 400: {why}"


def test_too_many_variables_are_told_as_that(empty: GitLab, local: LocalGitLab) -> None:
    before = local.turn()["settings"]["project_ci_variables"]
    local.turn(settings={"project_ci_variables": 1})
    empty.create(variable("FIRST"))

    problem = problem_of(lambda: empty.create(variable("SECOND")), GitLabRefused)
    local.turn(settings={"project_ci_variables": before})

    assert problem.summary.endswith("the project has as many variables as it may")


# -- who may -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("who", "kind", "words"),
    [
        ("developer", RoleMissing, "the token may not; it takes the role Maintainer in demo/app"),
        ("guest", RoleMissing, "the token may not; it takes the role Maintainer in demo/app"),
        ("outsider", WrongConfiguration, "the token's user sees no project demo/app"),
    ],
)
def test_a_role_that_is_too_low_is_named(local: LocalGitLab, who: str, kind: type[LifeboatError], words: str) -> None:
    problem = problem_of(GitLab(on(local, who)).variables, kind)

    assert words in problem.summary
    assert problem.hint


def test_a_token_that_gitlab_does_not_know_is_told_from_one_that_expired_or_was_revoked(local: LocalGitLab) -> None:
    project, url = local.project("owner"), local.place().url
    made = [
        project.access_tokens.create({"name": n, "scopes": ["api"], "access_level": 40, "expires_at": "2027-11-01"})
        for n in ("expired", "revoked")
    ]
    revoked = api(url, made[1].token)
    local.turn(expire=next(m.username for m in project.members_all.list(get_all=True) if m.name == "expired"))
    revoked.delete(Order(what="revoke the token", path="/personal_access_tokens/self"))

    said = [
        problem_of(GitLab(api(url, token)).variables, WrongConfiguration).summary
        for token in (TOKEN, made[0].token, made[1].token)
    ]

    assert [text.partition("the token is not valid: ")[2] for text in said] == [
        "GitLab does not know it",
        "it has expired",
        "it was revoked",
    ]


def test_what_a_token_may_not_see_is_unknown_and_not_absent(local: LocalGitLab) -> None:
    maintainer, owner = GitLab(on(local)), GitLab(on(local, "owner"))
    group = local.project("owner").manager.gitlab.groups.get("demo")
    group.variables.create({"key": "SHARED", "value": "some-value"})

    assert maintainer.group_keys("demo") is None
    assert owner.group_keys("demo") == [VariableName(key="SHARED", scope="*")]
    assert GitLab(on(local, "developer")).runners() is None
    group.variables.delete("SHARED", filter={"environment_scope": "*"})


def test_the_project_its_token_and_its_protection_are_read(local: LocalGitLab) -> None:
    client = GitLab(on(local))
    owner = local.project("owner")
    owner.protected_environments.create(
        {"name": "production", "deploy_access_levels": [{"access_level": 40}], "required_approval_count": 2}
    )

    project, token, guard = client.project(), client.token(), client.guard("production")
    owner.protected_environments.delete("production")

    assert (project.path, project.group, project.default_branch, project.role) == (
        "demo/app",
        "demo",
        "main",
        Role.MAINTAINER,
    )
    assert (project.forward_deployment, project.rollback_allowed, project.override_role) == (True, True, "maintainer")
    assert token is not None
    assert (token.scopes, token.expires_on is not None) == (("api",), True)
    assert guard is not None
    assert (guard.deployers, guard.approvals) == (("Maintainers",), 2)
    assert client.guard("staging") is None
    assert (client.is_protected("main"), client.is_protected("nowhere")) == (True, None)
    assert client.version()
    runners = client.runners()
    assert runners is not None
    assert [(r.online, r.paused, r.tags, r.run_untagged) for r in runners] == [(True, False, ("local-cloud",), True)]


def test_a_runner_whose_tags_are_not_for_this_token_to_see_is_still_there(local: LocalGitLab) -> None:
    local.cloud.control("faults", add={"service": "gitlab", "operation": "GetRunner", "code": "Fault", "status": 403})
    local.turn(runner="online")

    runners = GitLab(on(local)).runners()
    local.cloud.control("faults", clear=True)

    assert runners == [RunnerFacts(description="local cloud", online=True, paused=False, tags=None)]


def test_a_runner_that_is_offline_is_not_asked_for_its_tags(local: LocalGitLab) -> None:
    local.turn(runner="offline")

    runners = GitLab(on(local)).runners()
    local.turn(runner="online")

    assert runners == [RunnerFacts(description="local cloud", online=False, paused=False, tags=None)]


def test_pipelines_jobs_and_gitlabs_clock_are_read(local: LocalGitLab) -> None:
    client = GitLabPipelines(on(local))
    made = local.pipeline(MANUAL)

    now = client.now()
    pipelines, jobs = client.newest("main"), client.jobs(PipelineId(made.id))

    assert abs(time.time() - now.timestamp()) < 5
    assert pipelines[0].id == made.id
    assert [(j.name, j.status, j.pipeline.id, j.started_at) for j in jobs] == [("deploy", "manual", made.id, None)]
    assert client.job(jobs[0].id) == jobs[0]
    assert client.log(jobs[0].id) == b""
    assert GitLab(on(local)).lint("main").jobs == {"deploy": None}


# -- a GitLab that does not behave -------------------------------------------------------------------------------------


@dataclass
class Stray:
    """A server that notes what it is sent."""

    port: int = 0
    seen: list[tuple[str, str | None]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def answering(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[Stray]:
    """Run a server that answers each request by `answer`, and notes path and token."""
    stray = Stray()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            stray.seen.append((self.path, self.headers.get("PRIVATE-TOKEN")))
            length = int(self.headers.get("Content-Length") or 0)
            self.rfile.read(length)
            answer(self)

        do_POST = do_PUT = do_DELETE = do_GET

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    stray.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield stray
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def reply(status: int = 200, body: bytes = b"[]", **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    def send(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            request.send_header(name.replace("_", "-"), value)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    return send


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("order", ["read", "write"])
def test_a_redirect_is_refused_and_the_token_does_not_follow_it(status: int, order: str) -> None:
    with answering(reply()) as other, answering(reply(status, b"", Location=f"{other.url}/take?it={TOKEN}")) as stray:
        client = GitLab(api(stray.url))
        problem = problem_of(
            client.variables if order == "read" else lambda: client.create(variable()), WrongConfiguration
        )

    assert problem.summary == f"GitLab at {stray.url} sends us on to http://127.0.0.1; the token was not sent there"
    assert [token for _, token in stray.seen] == [TOKEN]
    assert other.seen == []


def test_a_next_page_on_another_host_is_not_asked_with_the_token() -> None:
    with answering(reply()) as other:
        link = f'<{other.url}/steal?page=2>; rel="next"'
        with answering(reply(200, b"[]", Link=link)) as stray:
            problem = problem_of(GitLab(api(stray.url)).variables, WrongConfiguration)

    assert problem.summary == f"GitLab at {stray.url} refers to http://127.0.0.1; the token was not sent there"
    assert other.seen == []


def test_a_next_page_that_gitlab_names_by_another_name_of_its_own_is_asked_where_we_know_it() -> None:
    pages = [
        reply(
            200,
            b'[{"key":"A","value":"v","environment_scope":"*","variable_type":"env_var","protected":false,"masked":false}]',
            Link='<https://internal.example/api/v4/projects/demo%2Fapp/variables?page=2&per_page=100>; rel="next"',
        ),
        reply(
            200,
            b'[{"key":"B","value":"v","environment_scope":"*","variable_type":"env_var","protected":false,"masked":false}]',
        ),
    ]

    def in_turn(request: BaseHTTPRequestHandler) -> None:
        pages.pop(0)(request)

    with answering(in_turn) as stray:
        found = GitLab(api(stray.url)).variables()

    assert [v.name.key for v in found] == ["A", "B"]
    assert [path.partition("?")[0] for path, _ in stray.seen] == ["/api/v4/projects/demo%2Fapp/variables"] * 2


NOT_THE_API = {
    "a login page": (200, b"<html>Sign in</html>", "text/html"),
    "JSON that is cut off": (200, b'[{"key": "A"', "application/json"),
    "a record for a list": (200, b'{"key": "A"}', "application/json"),
    "a list of something else": (200, b'["A", 1]', "application/json"),
    "null": (200, b"null", "application/json"),
    "a record without its parts": (200, b'[{"id": 1}]', "application/json"),
    "bytes": (200, b"\xff\xfe\x00", "application/json"),
}


@pytest.mark.parametrize("answer", NOT_THE_API.values(), ids=NOT_THE_API)
def test_what_is_not_gitlabs_api_is_told_as_that_and_is_never_an_empty_list(answer: tuple[int, bytes, str]) -> None:
    status, body, kind = answer
    with answering(reply(status, body, Content_Type=kind)) as stray:
        problem = problem_of(GitLab(api(stray.url)).variables, GitLabUnreachable)

    assert problem.summary == (
        f"cannot list the variables of demo/app: {stray.url} answers with something that is not GitLab's API"
    )


NOT_GITLABS_404 = {
    "a page": (b"<html>404 Not Found</html>", "text/html"),
    "a page that is called JSON": (b"<html>404 Not Found</html>", "application/json"),
    "nothing": (b"", "text/plain"),
    "a gateway's JSON": (b'{"message": "no Route matched with those values"}', "application/json"),
    "JSON of another shape": (b'["404 Not Found"]', "application/json"),
}


@pytest.mark.parametrize("answer", NOT_GITLABS_404.values(), ids=NOT_GITLABS_404)
def test_a_404_that_is_not_gitlabs_own_never_means_that_something_is_not_there(answer: tuple[bytes, str]) -> None:
    body, kind = answer
    with answering(reply(404, body, Content_Type=kind)) as stray:
        client, name = GitLab(api(stray.url)), variable().name
        problems = [
            problem_of(call, GitLabUnreachable)
            for call in (
                lambda: client.variable(name),
                lambda: client.delete(name),
                lambda: client.is_protected("main"),
                client.variables,
                client.runners,
                lambda: GitLabPipelines(api(stray.url)).log(JobId(1)),
            )
        ]

    assert all(p.summary.endswith("answers with something that is not GitLab's API") for p in problems)


@pytest.mark.parametrize("body", [b'{"message": "404 Variable Not Found"}', b'{"error": "404 Not Found"}'])
def test_gitlabs_own_404_means_that_something_is_not_there(body: bytes) -> None:
    with answering(reply(404, body)) as stray:
        client = GitLab(api(stray.url))

        assert client.variable(variable().name) is None
        client.delete(variable().name)
        assert client.guard("production") is None


@pytest.mark.parametrize("answer", NOT_THE_API.values(), ids=NOT_THE_API)
def test_a_write_whose_answer_is_no_record_is_told_as_lost(answer: tuple[int, bytes, str]) -> None:
    status, body, kind = answer
    with answering(reply(status, body, Content_Type=kind)) as stray:
        problem_of(lambda: GitLab(api(stray.url)).create(variable()), GitLabUnreachable)

    assert len(stray.seen) == 1


@pytest.mark.parametrize(
    "echo",
    [
        {"message": {"value": [f"is invalid: {VALUE}"]}},
        {"message": f"cannot take {VALUE}"},
        {"error": VALUE},
        VALUE,
    ],
)
@pytest.mark.parametrize("status", [400, 404, 409, 422, 500])
def test_a_value_that_comes_back_in_a_refusal_is_not_shown(echo: Any, status: int) -> None:
    with answering(reply(status, json.dumps(echo).encode())) as stray, pytest.raises(LifeboatError) as caught:
        GitLab(api(stray.url)).create(variable())

    assert VALUE not in f"{caught.value.summary} {caught.value.hint}"


def test_a_list_that_changes_while_it_is_read_is_not_taken_for_whole() -> None:
    with answering(reply(200, b"[]", X_Total="3")) as stray:
        problem = problem_of(GitLab(api(stray.url)).variables, GitLabUnreachable)

    assert problem.summary == "cannot list the variables of demo/app: the list changed while it was read (0 of 3)"


# -- time --------------------------------------------------------------------------------------------------------------


def test_a_question_is_repeated_and_told_and_an_order_is_not() -> None:
    calm = Calm()
    with answering(reply(502, b"<html>502</html>", Content_Type="text/html")) as stray:
        client = GitLab(api(stray.url, calm=calm))
        problem_of(client.variables, GitLabUnreachable)
        asked = len(stray.seen)
        problem = problem_of(lambda: client.create(variable()), GitLabUnreachable)

    assert (asked, len(stray.seen)) == (4, 5)
    assert calm.told == [
        f"GitLab answers 502; trying again in {wait:.1f} s ({n} of 3)" for n, wait in enumerate((0.5, 1, 2), 1)
    ]
    assert problem.summary == "cannot create the variable KEY (production): GitLab answers 502"


@pytest.mark.parametrize("order", ["read", "write"])
@pytest.mark.parametrize(
    ("header", "waits"),
    [({"Retry_After": "2"}, [2.0, 2.0, 2.0]), ({"Retry_After": "soon"}, [0.5, 1.0, 2.0]), ({}, [0.5, 1.0, 2.0])],
)
def test_a_limit_is_obeyed_a_few_times_and_then_told(order: str, header: dict[str, str], waits: list[float]) -> None:
    calm = Calm()
    with answering(reply(429, b"Retry later", Content_Type="text/plain", **header)) as stray:
        client = GitLab(api(stray.url, calm=calm))
        call = client.variables if order == "read" else lambda: client.create(variable())
        problem = problem_of(call, GitLabUnreachable)

    assert calm.slept == waits
    assert problem.summary.startswith("GitLab limits how often it may be asked (429) and wants")
    assert len(stray.seen) == 4


def test_a_limit_that_would_eat_the_recoverys_time_is_told_at_once() -> None:
    calm = Calm()
    with answering(reply(429, b"Retry later", Content_Type="text/plain", Retry_After="3600")) as stray:
        problem = problem_of(GitLab(api(stray.url, calm=calm)).variables, GitLabUnreachable)

    assert problem.summary == "GitLab limits how often it may be asked (429) and wants 3600 s more"
    assert (calm.slept, len(stray.seen)) == ([], 1)


def test_a_time_to_wait_for_may_be_a_date() -> None:
    calm = Calm()
    with answering(reply(429, b"", Retry_After=formatdate(time.time() + 20, usegmt=True))) as stray:
        problem_of(GitLab(api(stray.url, calm=calm)).variables, GitLabUnreachable)

    assert len(calm.slept) == 3
    assert all(15 < wait <= 20 for wait in calm.slept)


def test_a_gitlab_that_accepts_and_says_nothing_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        problem = problem_of(
            lambda: GitLab(api(f"http://127.0.0.1:{silent.getsockname()[1]}", seconds=0.3)).create(variable()),
            GitLabUnreachable,
        )

    assert time.monotonic() - began < 5
    assert "does not answer (ReadTimeout)" in problem.summary


def test_after_the_callers_limit_nothing_is_repeated_and_an_answer_gets_a_few_seconds() -> None:
    calm = Calm()
    late = Patience(tell=calm.told.append, sleep=calm.slept.append, until=time.monotonic() - 1)
    with socket.create_server(("127.0.0.1", 0)) as silent, answering(reply(503)) as busy:
        began = time.monotonic()
        for url in (f"http://127.0.0.1:{silent.getsockname()[1]}", busy.url):
            client = GitLab(GitLabApi(url=url, project="demo/app", token=Secret(TOKEN), limits=(60, late)))
            problem_of(client.variables, GitLabUnreachable)

    assert time.monotonic() - began < 10
    assert (calm.slept, len(busy.seen)) == ([], 1)


def test_what_moves_a_cursor_in_gitlabs_words_is_not_shown(local: LocalGitLab) -> None:
    local.write('deploy: {script: [echo x], when: "man\\u001b[31mual"}')

    errors = GitLab(on(local)).lint("main").errors

    assert errors
    assert not any("\x1b" in text for text in errors)


def test_an_answer_that_drips_is_given_up() -> None:
    def drip(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", "1000000")
        request.end_headers()
        try:
            for _ in range(400):
                request.wfile.write(b" ")
                request.wfile.flush()
                time.sleep(0.05)
        except OSError:
            return

    with answering(drip) as stray:
        began = time.monotonic()
        problem_of(lambda: GitLab(api(stray.url, seconds=0.3)).create(variable()), GitLabUnreachable)

    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 3\r\n\r\n[]",
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n[]",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000,
    ],
    ids=["ssh", "nothing", "cut off", "cut off between chunks", "not packed as it says", "endless header"],
)
def test_whatever_else_answers_on_the_port_is_no_gitlab(answer: bytes) -> None:
    with saying(answer) as port:
        problem_of(GitLab(api(f"http://127.0.0.1:{port}")).variables, GitLabUnreachable)


def test_a_port_on_which_nobody_listens_is_unreachable_with_what_to_do() -> None:
    problem = problem_of(GitLab(api(f"http://127.0.0.1:{free_port()}")).variables, GitLabUnreachable)

    assert problem.hint == "lifeboat gitlab doctor; without GitLab, deploy over SSM: lifeboat app redeploy"


def test_one_connection_serves_all_requests() -> None:
    ports: list[int] = []

    def note(request: BaseHTTPRequestHandler) -> None:
        ports.append(request.client_address[1])
        reply()(request)

    with answering(note) as stray:
        client = GitLab(api(stray.url))
        client.variables()
        client.variables()

    assert len(ports) == 2
    assert len(set(ports)) == 1


def test_the_callers_proxy_and_netrc_are_not_used_on_loopback(
    local: LocalGitLab, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(netrc))

    assert GitLab(on(local)).version()
