"""Reading a .gitlab-ci.yml: what is understood, with GitLab's defaults, and what is refused and how."""

from __future__ import annotations

from textwrap import dedent
from typing import Any

import pytest
from localcloud.gitlab import ci_file, ci_values
from localcloud.gitlab.ci_file import CiFile
from localcloud.gitlab.ci_yaml import CiError


def read(text: str, **inputs: Any) -> CiFile:
    return ci_file.read(dedent(text), inputs)


def reasons(text: str, **inputs: Any) -> list[str]:
    with pytest.raises(CiError) as error:
        read(text, **inputs)
    return error.value.reasons


def test_a_job_has_gitlabs_defaults() -> None:
    job = read("job: {script: echo x}").jobs["job"]

    assert (job.stage, job.when, job.allow_failure, job.needs, job.rules) == ("test", "on_success", None, None, None)
    assert (job.script, job.timeout, job.tags, job.environment, job.interruptible) == (
        ["echo x"],
        None,
        [],
        None,
        False,
    )


def test_default_gives_jobs_what_they_do_not_say_themselves() -> None:
    jobs = read(
        """
        default:
          before_script: [echo before]
          tags: [runner]
          timeout: 10 minutes
          interruptible: true
        one: {script: a}
        two: {script: b, before_script: [], tags: [], timeout: 1h 30m, interruptible: false}
        """
    ).jobs

    assert (jobs["one"].before_script, jobs["one"].tags, jobs["one"].timeout) == (["echo before"], ["runner"], 600)
    assert (jobs["two"].before_script, jobs["two"].tags, jobs["two"].timeout) == ([], [], 5400)
    assert (jobs["one"].interruptible, jobs["two"].interruptible) == (True, False)


def test_extends_merges_hashes_and_replaces_lists() -> None:
    job = read(
        """
        .base:
          script: [a, b]
          variables: {A: "1", B: "1"}
          environment: {name: one, action: prepare}
        .more: {extends: .base, variables: {B: "2", C: "2"}}
        job: {extends: [.base, .more], script: [c], environment: {name: two}}
        """
    ).jobs["job"]

    assert job.script == ["c"]
    assert {name: v.value for name, v in job.variables.items()} == {"A": "1", "B": "2", "C": "2"}
    assert job.environment == {"name": "two", "action": "prepare", "url": None, "tier": None}


def test_references_put_lists_into_lists() -> None:
    job = read(
        """
        .setup: {script: [a, b], variables: {URL: "http://x"}}
        job:
          script: [first, !reference [.setup, script], last]
          variables: {MINE: !reference [.setup, variables, URL]}
        """
    ).jobs["job"]

    assert (job.script, job.variables["MINE"].value) == (["first", "a", "b", "last"], "http://x")


def test_inputs_keep_their_types_and_fill_keys_too() -> None:
    text = """
    spec:
      inputs:
        name: {default: deploy}
        hand: {type: boolean, default: false}
        lines: {type: array, default: [a, b]}
        minutes: {type: number}
    ---
    "$[[ inputs.name ]]-job":
      script: $[[ inputs.lines ]]
      allow_failure: $[[ inputs.hand ]]
      timeout: "$[[ inputs.minutes ]] minutes"
    """

    jobs = read(text, minutes=2, hand=True, name="other").jobs

    assert list(jobs) == ["other-job"]
    job = jobs["other-job"]
    assert (job.script, job.allow_failure, job.timeout) == (["a", "b"], True, 120)


def test_a_needed_job_may_be_optional() -> None:
    job = read("job: {script: a, needs: [{job: other, optional: true, artifacts: false}]}").jobs["job"]

    assert job.needs == [ci_values.Need(job="other", artifacts=False, optional=True)]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("1h 30m", 5400), ("1h30m", 5400), ("2 hours", 7200), ("1 day and 1 hour", 90000)],
)
def test_durations_are_read_as_people_write_them(text: str, seconds: int) -> None:
    assert ci_values.seconds("timeout", text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "5 parsecs", "0", "-1h", "3 months"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(CiError, match="should be a duration"):
        ci_values.seconds("timeout", text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("job: {script: a, extends: .nowhere}", "job: unknown keys in `extends` (.nowhere)"),
        (".a: {extends: .b}\n.b: {extends: .a}\njob: {extends: .a, script: x}", "circular dependency"),
        ("job: {script: [!reference [.nowhere, script]]}", '!reference [".nowhere", "script"] could not be found'),
        (".a: {script: [!reference [.a, script]]}\njob: {script: a}", "nested too deeply"),
        ("job: {script: a, needs: [later]}\nlater: {stage: deploy, script: b}", "is not defined in current or prior"),
        ("job: {script: a, rules: [{if: '${REF}'}]}", "jobs:job:rules:rule if invalid expression syntax"),
        ("job: {script: a, rules: [{changes: [x]}]}", "jobs:job:rules:rule config contains unknown keys: changes"),
        ("job: {script: a, environment: {name: x, on_stop: y}}", "environment config contains unknown keys: on_stop"),
        ("job: {script: a, artifacts: {untracked: true}}", "artifacts config contains unknown keys: untracked"),
        ("job: {script: a, artifacts: {paths: [x], public: true, access: all}}", "cannot be used together"),
        ("job: {script: a, services: [postgres]}", "jobs:job: the local GitLab does not play the keyword services"),
        ("default: {retry: 1}\njob: {script: a}", "default: the local GitLab does not play the keyword retry"),
        ("include: x.yml\njob: {script: a}", "the local GitLab does not play the keyword include"),
        ("variables: [a]\njob: {script: a}", "variables config should be a hash of key value pairs"),
        ("variables: {A: {value: x, exapnd: true}}\njob: {script: a}", "variables:A config uses invalid data keys"),
        ("job: {script: a, when: delayed}", "jobs:job when should be one of: "),
        ("job: {script: {a: b}}", "should be a string or a nested array of strings"),
        ("job: [a]", "jobs:job config should be a hash"),
        ("job: {script: a, allow_failure: maybe}", "allow failure should be a hash or a boolean value"),
        ("a: &x {script: [1, {b: c}]}", "should be a string or a nested array"),
        ("spec: {inputs: {a: {}}}\n---\njob: {script: '$[[ inputs.a ]]'}", "`a` input: required value"),
        ("spec: {inputs: {}}\n---\njob: {script: '$[[ inputs.b ]]'}", "unknown interpolation provided: `b`"),
        ("spec: {inputs: {a: {default: 1}}}\n---\njob: {script: x}", "`a` input: provided value is not a string"),
        ("spec: {inputs: {a: {default: x, nice: 1}}}\n---\njob: {script: x}", "unknown keys or types: nice"),
        ("job: {script: '$[[ inputs.a | upper ]]'}", "write inputs.NAME without functions"),
        ("a: 1\n---\njob: {script: x}", "header:spec config should be the first document"),
        ("", "Please provide content of .gitlab-ci.yml"),
        ("{", "(<unknown>): while parsing"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_reason(text: str, expected: str) -> None:
    assert expected in "; ".join(reasons(text))


def test_all_reasons_are_told_at_once() -> None:
    found = reasons("one: {script: a, nonsense: 1}\ntwo: {stage: nowhere, script: b}\nthree: {when: never}\n")

    assert len(found) == 3


def test_an_image_is_warned_about_since_jobs_run_in_bash() -> None:
    assert read("job: {script: a, image: python:3.12}").warnings == ["jobs:job: image is not used, jobs run in bash"]
