"""Which variables a job of the local GitLab sees, and what of them its log shows."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.hashes import SHA256

from tests.localcloud.gitlab_places import MANUAL, LocalGitLab, http
from tests.localcloud.machines import until


@pytest.fixture
def project(local: LocalGitLab) -> Iterator[Any]:
    """Return the project; its variables are gone afterwards."""
    found = local.project()
    yield found
    for variable in found.variables.list(get_all=True):
        found.variables.delete(variable.key, filter={"environment_scope": variable.environment_scope})


def test_a_job_sees_the_variable_whose_scope_fits_its_environment_best(local: LocalGitLab, project: Any) -> None:
    for scope in ("*", "review/*", "review/a*", "review/abc", "production"):
        project.variables.create(
            {"key": "WHERE", "value": f"value-of-{scope}", "environment_scope": scope, "raw": True}
        )
    pipeline = local.pipeline(
        """
        .job: {script: ['echo "seen: $WHERE in ${CI_ENVIRONMENT_NAME:-none}"']}
        exact: {extends: .job, environment: {name: review/abc, action: prepare}}
        longest: {extends: .job, environment: {name: review/axx, action: prepare}}
        wide: {extends: .job, environment: {name: review/x, action: prepare}}
        other: {extends: .job, environment: {name: elsewhere, action: prepare}}
        none: {extends: .job}
        """
    )

    logs = {name: local.log(local.ended(pipeline, name)) for name in ("exact", "longest", "wide", "other", "none")}

    assert "seen: value-of-review/abc in review/abc\n" in logs["exact"]
    assert "seen: value-of-review/a* in review/axx\n" in logs["longest"]
    assert "seen: value-of-review/* in review/x\n" in logs["wide"]
    assert "seen: value-of-* in elsewhere\n" in logs["other"]
    assert "seen: value-of-* in none\n" in logs["none"]


def test_a_variable_is_read_when_the_job_starts(local: LocalGitLab, project: Any) -> None:
    project.variables.create({"key": "HOST", "value": "10.0.0.1"})
    pipeline = local.pipeline(MANUAL)
    project.variables.update("HOST", {"value": "10.0.0.2"}, filter={"environment_scope": "*"})

    local.job(pipeline, "deploy").play()
    job = local.ended(pipeline, "deploy")

    assert local.said(job, "to 10.0.0.2 as deploy with nothing")


def test_masked_values_are_hidden_in_the_log_but_not_their_other_forms(local: LocalGitLab, project: Any) -> None:
    project.variables.create({"key": "SECRET", "value": "canary-value-1", "masked": True})
    project.variables.create({"key": "LONGER", "value": "canary-value-1-and-more", "masked": True})
    pipeline = local.pipeline(
        """
        job:
          script:
            - echo "it is $SECRET and $LONGER"
            - printf canary-; sleep 0.3; echo value-1
            - echo "$SECRET" | base64
            - echo "$CI_JOB_TOKEN"
        """
    )

    log = local.log(local.ended(pipeline, "job"))

    assert "it is [MASKED] and [MASKED]\n" in log
    assert "canary-value-1" not in log
    assert "Y2FuYXJ5LXZhbHVlLTEK" in log
    assert "glcbt-" not in log
    assert log.count("[MASKED]") == 4


def test_no_masked_value_reaches_the_disk_of_the_cloud(local: LocalGitLab, project: Any) -> None:
    project.variables.create({"key": "SECRET", "value": "canary-value-2", "masked": True})
    pipeline = local.pipeline("job:\n  script: ['echo $SECRET', 'echo $SECRET >&2']\n")

    local.ended(pipeline, "job")
    traces = [path.read_bytes() for path in (local.cloud.directory / "live/gitlab/traces").iterdir()]
    logs = [path.read_bytes() for path in (local.cloud.directory / "logs").iterdir()]

    assert traces
    assert [text for text in traces + logs if b"canary-value-2" in text] == []
    until(lambda: not list((local.cloud.directory / "gitlab-builds").iterdir()))


def test_a_dollar_is_mangled_unless_the_variable_is_raw(local: LocalGitLab, project: Any) -> None:
    project.variables.create({"key": "EXPANDED", "value": "a$b${CI_JOB_NAME}$$c"})
    project.variables.create({"key": "KEPT", "value": "a$b${CI_JOB_NAME}$$c", "raw": True})
    pipeline = local.pipeline("job:\n  script: ['echo \"<$EXPANDED> <$KEPT>\"']\n")

    job = local.ended(pipeline, "job")

    assert local.said(job, "<ajob$c> <a$b${CI_JOB_NAME}$$c>")


def test_a_protected_variable_is_empty_on_an_unprotected_branch(local: LocalGitLab, project: Any) -> None:
    project.variables.create({"key": "SECRET", "value": "only-on-main", "protected": True})
    text = "job:\n  script: ['echo \"<$SECRET> $CI_COMMIT_REF_PROTECTED\"']\n"

    on_main = local.ended(local.pipeline(text), "job")
    on_branch = local.ended(local.pipeline(text, ref="hot-fix"), "job")

    assert local.said(on_main, "<only-on-main> true")
    assert local.said(on_branch, "<> false")


def test_a_variable_of_type_file_is_a_private_file(local: LocalGitLab, project: Any) -> None:
    project.variables.create({"key": "KEY_FILE", "value": "line 1\nline 2\n", "variable_type": "file"})
    pipeline = local.pipeline("job:\n  script: ['cat \"$KEY_FILE\"', 'stat -c %a \"$KEY_FILE\"']\n")

    job = local.ended(pipeline, "job")

    assert (local.said(job, "line 1"), local.said(job, "line 2"), local.said(job, "600")) == (True, True, True)


def test_the_nearer_variable_wins(local: LocalGitLab, project: Any) -> None:
    owner = local.place("owner")
    for name in ("V_GROUP", "V_PROJECT", "V_PIPELINE", "V_JOB"):
        owner.ask("POST", "/groups/demo/variables", key=name, value="group")
    for name in ("V_PROJECT", "V_PIPELINE", "V_JOB"):
        project.variables.create({"key": name, "value": "project"})
    names = ("V_FILE", "V_OWN", "V_GROUP", "V_PROJECT", "V_PIPELINE", "V_JOB")
    text = f"""
    variables: {{{", ".join(f"{name}: file" for name in names)}, CI_JOB_NAME: overridden}}
    job:
      when: manual
      variables: {{V_OWN: own, V_GROUP: own}}
      script: ['echo "$V_FILE $V_OWN $V_GROUP $V_PROJECT $V_PIPELINE $V_JOB $CI_JOB_NAME"']
    """
    given = [{"key": name, "value": "pipeline"} for name in ("V_PIPELINE", "V_JOB")]
    pipeline = local.pipeline(text, variables=given)
    played = {"job_variables_attributes": [{"key": "V_JOB", "value": "job"}]}

    local.job(pipeline, "job").play(post_data=played)
    job = local.ended(pipeline, "job")
    for name in ("V_GROUP", "V_PROJECT", "V_PIPELINE", "V_JOB"):
        owner.ask("DELETE", f"/groups/demo/variables/{name}")

    assert local.said(job, "file own group project pipeline job overridden")


def test_a_dotenv_report_hands_variables_on(local: LocalGitLab, project: Any) -> None:
    project.variables.create({"key": "SHADOWED", "value": "of-the-project"})
    pipeline = local.pipeline(
        """
        stages: [one, two]
        tell:
          stage: one
          script: ["printf 'HOST=10.0.0.9\\nSHADOWED=of-the-report\\n# no\\n' > told.env"]
          artifacts: {reports: {dotenv: told.env}}
        use: {stage: two, script: ['echo "$HOST $SHADOWED"']}
        """
    )

    job = local.ended(pipeline, "use")

    assert local.said(job, "10.0.0.9 of-the-project")


def test_a_job_knows_where_it_runs(local: LocalGitLab) -> None:
    names = ("CI", "GITLAB_CI", "CI_PROJECT_ID", "CI_PROJECT_PATH", "CI_COMMIT_REF_NAME", "CI_COMMIT_BRANCH")
    names += ("CI_DEFAULT_BRANCH", "CI_API_V4_URL", "CI_SERVER_URL", "CI_PIPELINE_SOURCE", "CI_ENVIRONMENT_NAME")
    pipeline = local.pipeline(
        f"""
        job:
          environment: {{name: "$CI_COMMIT_BRANCH-env", action: verify}}
          script:
            - echo {" ".join(f"{name}=${name}" for name in names)}
            - test "$PWD" = "$CI_PROJECT_DIR"
            - echo "$CI_JOB_ID $CI_PIPELINE_ID $CI_COMMIT_SHA"
        """
    )

    job = local.ended(pipeline, "job")
    url = local.document["url"]

    assert job.status == "success", local.log(job)
    assert local.said(
        job,
        "CI=true GITLAB_CI=true CI_PROJECT_ID=1 CI_PROJECT_PATH=demo/app CI_COMMIT_REF_NAME=main CI_COMMIT_BRANCH=main "
        f"CI_DEFAULT_BRANCH=main CI_API_V4_URL={url}/api/v4 CI_SERVER_URL={url} CI_PIPELINE_SOURCE=api "
        "CI_ENVIRONMENT_NAME=main-env",
    )
    assert local.said(job, f"{job.id} {pipeline.id} {pipeline.sha}")


def unpadded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def number(text: str) -> int:
    return int.from_bytes(unpadded(text), "big")


def test_a_job_gets_a_signed_token_for_aws(local: LocalGitLab) -> None:
    pipeline = local.pipeline(
        """
        job:
          id_tokens: {AWS_ID_TOKEN: {aud: "https://sts.amazonaws.com"}}
          script:
            - echo "$AWS_ID_TOKEN"
            - python3 -c 'import os; print(os.environ["AWS_ID_TOKEN"][::-1])'
        """
    )

    job = local.ended(pipeline, "job")
    token = next(line[::-1] for line in local.log(job).splitlines() if line.count(".") == 2 and len(line) > 300)
    keys = http(f"{local.document['url']}/oauth/discovery/keys").body

    head, body, signature = token.split(".")
    public = RSAPublicNumbers(n=number(keys["keys"][0]["n"]), e=number(keys["keys"][0]["e"])).public_key()
    public.verify(unpadded(signature), f"{head}.{body}".encode(), PKCS1v15(), SHA256())
    claims = json.loads(unpadded(body))
    assert local.said(job, "[MASKED]")
    assert json.loads(unpadded(head))["kid"] == keys["keys"][0]["kid"]
    assert claims["sub"] == "project_path:demo/app:ref_type:branch:ref:main"
    assert (claims["iss"], claims["aud"]) == (local.document["url"], "https://sts.amazonaws.com")
    assert claims["exp"] > time.time()
