"""A .gitlab-ci.yml as jobs: what a normal file needs, with GitLab's defaults; anything else is refused by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from localcloud.gitlab import ci_values
from localcloud.gitlab.ci_values import Need, Rule
from localcloud.gitlab.ci_yaml import CiError, Document, documents, filled, resolved

STAGES = ("build", "test", "deploy")
WHENS = ("on_success", "on_failure", "always", "manual", "never")
GLOBALS = {"stages", "default", "variables", "workflow", "image", "before_script", "after_script"}
DEFAULTS = {"image", "before_script", "after_script", "interruptible", "tags", "timeout", "artifacts", "id_tokens"}
KEYWORDS = DEFAULTS | {
    "allow_failure",
    "cache",  # always empty: GitLab promises no job that it finds one
    "dependencies",
    "environment",
    "extends",
    "manual_confirmation",
    "needs",
    "resource_group",
    "rules",
    "script",
    "stage",
    "variables",
    "when",
}
# GitLab's own (doc/ci/yaml), which would be wrong to pass over: a file that needs them cannot run here.
NOT_PLAYED = {
    *("coverage", "dast_configuration", "except", "hooks", "identity", "include", "inherit", "only", "pages"),
    *("parallel", "release", "retry", "run", "secrets", "services", "start_in", "trigger"),
}


@dataclass(frozen=True, kw_only=True)
class CiJob:
    """One job; `needs` is None where the stages decide, `allow_failure` None where `when` does."""

    name: str
    stage: str
    script: list[str]
    before_script: list[str]
    after_script: list[str]
    when: str
    allow_failure: bool | None
    exit_codes: list[int]
    rules: list[Rule] | None
    needs: list[Need] | None
    dependencies: list[str] | None
    environment: Document | None
    resource_group: str | None
    artifacts: Document
    interruptible: bool
    timeout: int | None
    tags: list[str]
    variables: dict[str, ci_values.Variable]
    id_tokens: dict[str, list[str]]
    image: str | None


@dataclass(frozen=True, kw_only=True)
class CiFile:
    """A whole configuration."""

    stages: list[str]
    variables: dict[str, ci_values.Variable]
    workflow: list[Rule] | None
    workflow_name: str | None
    jobs: dict[str, CiJob]
    warnings: list[str] = field(default_factory=list)


def read(text: str, inputs: Mapping[str, Any] | None = None) -> CiFile:
    """Return the configuration in a text with these inputs; CiError with every reason why it cannot be used."""
    header, document = documents(text)
    document = resolved(filled(header, document, inputs or {}))
    reasons: list[str] = []
    named = {name: value for name, value in document.items() if name not in GLOBALS}
    for name in sorted(NOT_PLAYED & set(named)):
        reasons.append(f"the local GitLab does not play the keyword {name}")
    jobs = {str(n): v for n, v in named.items() if not str(n).startswith(".") and n not in NOT_PLAYED}
    default = document.get("default") or {}
    reasons += _unknown("default", default, DEFAULTS)
    default = {k: document[k] for k in ("image", "before_script", "after_script") if k in document} | default
    stages = [".pre", *[str(stage) for stage in document.get("stages") or STAGES if stage not in (".pre", ".post")]]
    stages.append(".post")
    made: dict[str, CiJob] = {}
    for name, config in jobs.items():
        try:
            made[name] = _job(name, config, default)
        except CiError as error:
            reasons += error.reasons
    if not jobs:
        reasons.append("jobs config should contain at least one visible job")
    workflow, workflow_name = _workflow(document.get("workflow") or {}, reasons)
    variables = _collected(reasons, "variables", document.get("variables") or {})
    reasons += [reason for job in made.values() for reason in _misplaced(job, made, stages)]
    if reasons:
        raise CiError(*reasons)
    return CiFile(
        stages=stages,
        variables=variables,
        workflow=workflow,
        workflow_name=workflow_name,
        jobs=made,
        warnings=[f"jobs:{job.name}: image is not used, jobs run in bash" for job in made.values() if job.image],
    )


def _unknown(place: str, config: Any, known: set[str]) -> list[str]:
    if not isinstance(config, dict):
        return [f"{place} config should be a hash"]
    given = {str(key) for key in config}
    reasons = [f"{place}: the local GitLab does not play the keyword {key}" for key in sorted(given & NOT_PLAYED)]
    unknown = sorted(given - known - NOT_PLAYED)
    return reasons + ([f"{place} config contains unknown keys: {', '.join(unknown)}"] if unknown else [])


def _collected(reasons: list[str], place: str, config: Any) -> dict[str, ci_values.Variable]:
    try:
        return ci_values.variables(place, config)
    except CiError as error:
        reasons += error.reasons
        return {}


def _workflow(config: Any, reasons: list[str]) -> tuple[list[Rule] | None, str | None]:
    reasons += _unknown("workflow", config, {"name", "rules"})
    if not isinstance(config, dict) or "rules" not in config:
        return None, None
    try:
        return ci_values.rules("workflow", config["rules"], {"if", "when", "variables"}), config.get("name")
    except CiError as error:
        reasons += error.reasons
        return None, None


def _job(name: str, config: Any, default: Document) -> CiJob:
    place = f"jobs:{name}"
    reasons = _unknown(place, config, KEYWORDS)
    if not isinstance(config, dict):
        raise CiError(*reasons)
    if not config.get("script"):
        reasons.append(f"{place} config should implement the script:, run:, or trigger: keyword")
    whole = {key: value for key, value in default.items() if key in DEFAULTS} | config
    when = str(whole.get("when", "on_success"))
    if when not in WHENS:
        reasons.append(f"{place} when should be one of: {', '.join(WHENS)}")
    values: dict[str, Any] = {}
    readers: dict[str, Callable[[], Any]] = {
        "script": lambda: ci_values.commands(place, "script", whole.get("script")),
        "before_script": lambda: ci_values.commands(place, "before_script", whole.get("before_script")),
        "after_script": lambda: ci_values.commands(place, "after_script", whole.get("after_script")),
        "rules": lambda: ci_values.rules(place, whole["rules"], ci_values.RULE_KEYS) if "rules" in whole else None,
        "needs": lambda: ci_values.needs(place, whole["needs"]) if whole.get("needs") is not None else None,
        "environment": lambda: ci_values.environment(place, whole.get("environment")),
        "artifacts": lambda: ci_values.artifacts(place, whole.get("artifacts")),
        "timeout": lambda: ci_values.seconds(place, whole["timeout"]) if "timeout" in whole else None,
        "variables": lambda: ci_values.variables(f"{place}:variables", whole.get("variables") or {}),
        "id_tokens": lambda: ci_values.id_tokens(place, whole.get("id_tokens") or {}),
        "tags": lambda: ci_values.texts(place, "tags", whole.get("tags") or []),
        "dependencies": lambda: (
            ci_values.texts(place, "dependencies", whole["dependencies"]) if "dependencies" in whole else None
        ),
        "allowed": lambda: ci_values.allow_failure(place, whole.get("allow_failure")),
    }
    for key, reader in readers.items():
        try:
            values[key] = reader()
        except CiError as error:
            reasons += error.reasons
    if reasons:
        raise CiError(*reasons)
    allow_failure, exit_codes = values.pop("allowed")
    group, image = whole.get("resource_group"), whole.get("image")
    return CiJob(
        name=name,
        stage=str(whole.get("stage", "test")),
        when=when,
        allow_failure=allow_failure,
        exit_codes=exit_codes,
        resource_group=None if group is None else str(group),
        interruptible=bool(whole.get("interruptible", False)),
        image=str(image["name"]) if isinstance(image, dict) else image,
        **values,
    )


def _misplaced(job: CiJob, jobs: dict[str, CiJob], stages: list[str]) -> list[str]:
    """Return what lib/gitlab/ci/yaml_processor.rb has against a job's place among the others."""
    if job.stage not in stages:
        return [f"{job.name} job: chosen stage {job.stage} does not exist; available stages are {', '.join(stages)}"]
    reasons = []
    for kind, names in (("need", [n.job for n in job.needs or []]), ("dependency", job.dependencies or [])):
        for name in names:
            if name not in jobs:
                optional = kind == "need" and any(n.job == name and n.optional for n in job.needs or [])
                reasons += [] if optional else [f"{job.name} job: undefined {kind}: {name}"]
            elif jobs[name].stage in stages and stages.index(jobs[name].stage) > stages.index(job.stage):
                reasons.append(f"{job.name} job: {kind} {name} is not defined in current or prior stages")
    return reasons
