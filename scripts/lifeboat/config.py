"""Where the project is and what environments/<env>.toml says; every mistake in it is reported at once."""

from __future__ import annotations

import difflib
import ipaddress
import re
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, ValidationError, model_validator

from lifeboat.database_model import RetentionPolicy
from lifeboat.errors import NoSuchEnvironment, WrongConfiguration
from lifeboat.gitlab_config import GitLabSettings
from lifeboat.model import ContainerImage, ImageId, ImageUse
from lifeboat.probe_config import ProbeSettings
from lifeboat.settings import form, mistakes
from lifeboat.state_model import LockMode

# As terraform/stack and terraform/state have it (variable "environment").
_ENVIRONMENT_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")

Region = Annotated[
    str, form(r"[a-z]{2}(-gov|-iso[a-z]?)?-[a-z]+-[0-9]", "write the code of an AWS region, such as eu-west-1")
]
# S3 appends "-tfstate-<12 digits>-<region>"; a bucket name has at most 63 characters.
Name = Annotated[
    str,
    form(
        r"[a-z][a-z0-9-]{1,19}[a-z0-9]",
        "write 3 to 21 lower-case letters, digits and hyphens, a letter first and no hyphen last",
    ),
]


def _address_and_port(text: str) -> str:
    address, _, port = text.rpartition(":")
    try:
        ipaddress.ip_address(address.removeprefix("[").removesuffix("]"))
        good = 1 <= int(port) <= 65535
    except ValueError:
        good = False
    if not good or (":" in address) != address.startswith("["):
        raise ValueError("write an address and a port, such as 192.0.2.53:53 or [2001:db8::53]:53")
    return text


Place = Annotated[str, AfterValidator(_address_and_port)]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Application(_Table):
    """Which application, account and regions this environment is."""

    name: Name
    account_id: Annotated[str, form(r"[0-9]{12}", "write the 12 digits of an AWS account, in quotes")]
    region: Region
    dr_region: Region
    disposable: StrictBool = False
    # Answers 200 when the application is well; JSON with instance_id proves which instance it was that answered.
    health_path: Annotated[str, form(r"/[!-~]*", "write a path that begins with / and has no spaces")] = "/healthz"

    @model_validator(mode="after")
    def _two_regions(self) -> Application:
        if self.region == self.dr_region:
            raise ValueError("region and dr_region are the same; copies must live in another region")
        return self


class State(_Table):
    """Where Terraform's state is, so that it can be found when nothing else is left."""

    bucket: str
    replica_bucket: str
    lock_table: str
    key: str = "stack.tfstate"
    root_key: str = "state.tfstate"
    lock_mode: LockMode = "both"


class Endpoint(_Table):
    """Where AWS answers when it is not AWS: a local cloud and its dummy credentials."""

    url: Annotated[str, form(r"http://127\.0\.0\.1:[0-9]{2,5}", "write http://127.0.0.1:PORT")]
    access_key_id: str = "local"
    secret_access_key: str = "local"  # noqa: S105  (of the local cloud, which accepts any)


class TerraformSettings(_Table):
    """Limits for Terraform."""

    apply_minutes: Annotated[int, Field(strict=True, ge=1, le=600)] = 120
    plan_minutes: Annotated[int, Field(strict=True, ge=1, le=60)] = 15
    max_retries: Annotated[int, Field(strict=True, ge=0, le=25)] = 10
    parallelism: Annotated[int, Field(strict=True, ge=1, le=100)] = 20


class Dns(_Table):
    """Whom to ask for names; without a resolver, the zone's own name servers, whose answers no cache has kept."""

    resolver: Place | None = None

    @property
    def server(self) -> tuple[str, int] | None:
        """The resolver's address and port."""
        if self.resolver is None:
            return None
        address, _, port = self.resolver.rpartition(":")
        return address.strip("[]"), int(port)


class DatabaseSettings(_Table):
    """How to sign in to the stack's database, for dumps and restores.

    `ca_file` (below the checkout) holds the authorities that its certificate is checked by, for RDS Amazon's bundle of
    the region; without one the connection is encrypted and nobody is checked.
    """

    sign_in: Literal["password", "iam"] = "password"
    ca_file: str | None = None


Count = Annotated[int, Field(strict=True, ge=0, le=1000)]


class DumpRetention(_Table):
    """Of how many days, weeks, months and years the last dump is kept; what counts as verified, and how many of those stay."""

    daily: Annotated[int, Field(strict=True, ge=1, le=1000)] = 14
    weekly: Count = 8
    monthly: Count = 12
    yearly: Count = 2
    minimum_verified: Annotated[int, Field(strict=True, ge=1, le=1000)] = 2
    verified_level: Annotated[int, Field(strict=True, ge=1, le=4)] = 2

    @property
    def policy(self) -> RetentionPolicy:
        """The policy that the counts are."""
        return RetentionPolicy(**self.model_dump())


class DumpHooks(_Table):
    """Programs and their arguments that run before and after each dump, with LIFEBOAT_DATABASE and LIFEBOAT_DUMP_ID."""

    before: list[str] = []
    after: list[str] = []
    seconds: Annotated[int, Field(strict=True, ge=1, le=86_400)] = 600


class DumpSettings(_Table):
    """What `lifeboat dump` dumps beside the stack's own database, and what becomes of its dumps.

    The percentages: by how much a dump may be below the median of those before. `lock_seconds`: how long to wait for
    somebody who keeps readers out of a table. `probes`: what a restored copy is asked.
    """

    databases: list[str] = []
    lock_seconds: Annotated[int, Field(strict=True, ge=1, le=3600)] = 60
    shrink_percent: Annotated[int, Field(strict=True, ge=0, le=100)] = 50
    tables_shrink_percent: Annotated[int, Field(strict=True, ge=0, le=100)] = 20
    hooks: DumpHooks = DumpHooks()
    probes: tuple[ProbeSettings, ...] = ()
    retention: DumpRetention = DumpRetention()


Days = Annotated[int, Field(strict=True, ge=1, le=3660)]


class StatusSettings(_Table):
    """How old what `lifeboat status` looks at may be, and how deep a verification proves a dump.

    `late_minutes`: how much later than planned a copy may be there; `proof_days`: since a copy of the database and a dump
    were restored; `image_days`, `image_proof_days`: since an image was made, and since one booted; `drill_days`: since a
    drill of each kind; `plan_days`: since a plan found nothing to change. `heartbeat_minutes` 0: the stack has no heartbeat.
    """

    late_minutes: Annotated[int, Field(strict=True, ge=0, le=1440)] = 120
    proof_days: Days = 31
    proof_level: Annotated[int, Field(strict=True, ge=1, le=4)] = 2
    image_days: Days = 32
    image_proof_days: Days = 92
    drill_days: Days = 92
    plan_days: Days = 8
    heartbeat_minutes: Annotated[int, Field(strict=True, ge=0, le=1440)] = 10
    skew_seconds: Annotated[int, Field(strict=True, ge=1, le=3600)] = 300
    metric_hours: Annotated[int, Field(strict=True, ge=1, le=168)] = 3


class LocalCloud(_Table):
    """The program that plays AWS for this environment, started when it does not run."""

    command: list[str]
    directory: str
    network: Annotated[str, form(r"127\.[0-9]{1,3}", "write 127 and one more number, such as 127.77")] = "127.77"


class Environment(_Table):
    """One environments/<env>.toml."""

    application: Application
    state: State
    terraform: TerraformSettings = TerraformSettings()
    endpoint: Endpoint | None = None
    dns: Dns = Dns()
    database: DatabaseSettings = DatabaseSettings()
    dumps: DumpSettings = DumpSettings()
    status: StatusSettings = StatusSettings()
    local_cloud: LocalCloud | None = None
    gitlab: GitLabSettings | None = None

    @model_validator(mode="after")
    def _the_names_are_those_that_terraform_gives(self) -> Environment:
        app, state = self.application, self.state
        expected = {
            "bucket": f"{app.name}-tfstate-{app.account_id}-{app.region}",
            "replica_bucket": f"{app.name}-tfstate-{app.account_id}-{app.dr_region}",
            "lock_table": f"{app.name}-tflock",
        }
        wrong = [f"{key} must be {name}" for key, name in expected.items() if getattr(state, key) != name]
        if wrong:
            raise ValueError("state: " + ", ".join(wrong) + " (the names that terraform/state gives)")
        return self

    @model_validator(mode="after")
    def _a_local_cloud_has_an_endpoint(self) -> Environment:
        if self.local_cloud is not None and self.endpoint is None:
            raise ValueError("[local_cloud] needs [endpoint] url, the address that it will listen on")
        return self

    @model_validator(mode="after")
    def _a_local_cloud_resolves_its_names(self) -> Environment:
        if self.local_cloud is not None and self.endpoint is not None:
            place = f"{self.local_cloud.network}.192.53:{urlsplit(self.endpoint.url).port}"
            if self.dns.resolver != place:
                raise ValueError(
                    f'[local_cloud] needs [dns] resolver = "{place}": its network, and its endpoint\'s port'
                )
        return self


class Project(BaseModel):
    """The folders of one checkout and one of its environments."""

    model_config = ConfigDict(frozen=True)

    root: Path
    env: str
    environment: Environment

    @property
    def work(self) -> Path:
        """The folder for everything that is not committed: runs, Terraform's data, saves."""
        return self.root / ".lifeboat" / self.env

    @property
    def state_root(self) -> Path:
        """Root 1, which makes the state backend."""
        return self.root / "terraform" / "state"

    @property
    def stack_root(self) -> Path:
        """Root 2, which makes everything else."""
        return self.root / "terraform" / "stack"

    @property
    def var_files(self) -> list[Path]:
        """Return the stack's inputs; what a recovery chose overrides the committed ones."""
        files = [self.root / "environments" / f"{self.env}.tfvars"]
        return [*files, self.recovery_file] if self.recovery_file.exists() else files

    @property
    def settings_file(self) -> Path:
        """What says how to reach the environment."""
        return self.root / "environments" / f"{self.env}.toml"

    @property
    def recovery_file(self) -> Path:
        """What a recovery chose, for every later apply to read: written by lifeboat, committed by the operator."""
        return self.root / "environments" / f"{self.env}.recovery.tfvars.json"

    @property
    def cloud_directory(self) -> Path | None:
        """The local cloud's folder; None where the environment is AWS itself."""
        local = self.environment.local_cloud
        return None if local is None else self.root / local.directory


def found_root(start: Path) -> Path:
    """Return the checkout that `start` lies in: the nearest folder with environments/ and terraform/."""
    for folder in (start, *start.parents):
        if (folder / "environments").is_dir() and (folder / "terraform").is_dir():
            return folder
    raise WrongConfiguration(
        f"{start} is not inside a lifeboat checkout (no folder above it has environments/ and terraform/)",
        hint="cd into the checkout, then run the command again",
    )


def environments(root: Path) -> list[str]:
    """Return the names that ENV may have: those that the stack takes, with both files in environments/."""
    folder = root / "environments"
    return sorted(
        path.stem
        for path in folder.glob("*.toml")
        if _ENVIRONMENT_NAME.fullmatch(path.stem) and (folder / f"{path.stem}.tfvars").is_file()
    )


def twins(project: Project) -> list[str]:
    """Return the other environments whose files describe the same application in the same account, on the same endpoint.

    Names in AWS follow from both, so what one of them makes is what the other one finds. A file that cannot be read
    describes nothing.
    """
    found = []
    for name in environments(project.root):
        with suppress(OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, ValidationError):
            text = (project.root / "environments" / f"{name}.toml").read_text()
            other = Environment.model_validate(tomllib.loads(text))
            if name != project.env and _whose_names(other) == _whose_names(project.environment):
                found.append(name)
    return found


def _whose_names(environment: Environment) -> tuple[str, str, str | None]:
    app, endpoint = environment.application, environment.endpoint
    return app.name, app.account_id, None if endpoint is None else endpoint.url


def images_named(root: Path) -> list[ImageUse]:
    """Return every machine image that a file of an environment names, recovery files and comments included."""
    folder = root / "environments"
    return [
        ImageUse(image=ImageId(name), by=str(path.relative_to(root)))
        for path in sorted([*folder.glob("*.tfvars"), *folder.glob("*.tfvars.json")])
        for name in dict.fromkeys(re.findall(r"\bami-[0-9a-f]{8,17}\b", _text_of(path)))
    ]


def image_configured(project: Project) -> ImageId | None:
    """Return the machine image that the committed tfvars name (ami_id); None when they do not."""
    text = _text_of(project.root / "environments" / f"{project.env}.tfvars")
    found = re.findall(r'^\s*ami_id\s*=\s*"(ami-[0-9a-f]+)"', text, flags=re.MULTILINE)
    return ImageId(found[-1]) if found else None


def app_image_named(project: Project) -> ContainerImage | None:
    """Return the container image that the environment's tfvars name (instance.app_image); None when they do not."""
    text = "\n".join(_text_of(path) for path in project.var_files if path.suffix == ".tfvars")
    found = re.findall(r'^\s*app_image\s*=\s*"([^"]+)"', text, flags=re.MULTILINE)
    return ContainerImage(found[-1]) if found else None


def load(root: Path, env: str) -> Project:
    """Read one environment; raises WrongConfiguration naming every mistake in its file."""
    _require_files(root, env)
    name = f"environments/{env}.toml"
    try:
        document: dict[str, Any] = tomllib.loads(_text_of(root / "environments" / f"{env}.toml"))
    except tomllib.TOMLDecodeError as error:
        raise WrongConfiguration(f"{name} is not TOML: {error}", hint=_edit(name)) from error
    try:
        return Project(root=root, env=env, environment=Environment.model_validate(document))
    except ValidationError as error:
        lines = mistakes(error)
        many = f"{len(lines)} mistake{'s' if len(lines) > 1 else ''}"
        raise WrongConfiguration(f"{name} has {many}:\n" + "\n".join(lines), hint=_edit(name)) from None


def _require_files(root: Path, env: str) -> None:
    """Raise unless an environment has a name that can be, and both of its files."""
    folder, known = root / "environments", environments(root)
    there = {path.name for path in folder.iterdir()}
    pair = [f"{env}.toml", f"{env}.tfvars"]
    if not there.intersection(pair):
        meant = difflib.get_close_matches(env, known, n=2)
        raise NoSuchEnvironment(
            f"there is no environment {env!r}; environments/ has: {', '.join(known) or 'none'}",
            hint="" if known else "write environments/NAME.toml and environments/NAME.tfvars",
            meant=meant[0] if len(meant) == 1 else None,
        )
    if not _ENVIRONMENT_NAME.fullmatch(env):
        files = " and ".join(f"environments/{name}" for name in pair if name in there)
        raise WrongConfiguration(
            f"{env!r} cannot name an environment: a name is a lower-case letter, then at most 30 lower-case letters,"
            " digits and hyphens",
            hint=f"rename {files}",
        )
    for name in pair:
        if (folder / name).is_dir():
            raise WrongConfiguration(
                f"environments/{name} is a folder, not a file",
                hint=f"move it away and write a file environments/{name}",
            )
        if name not in there:
            like = next((other for other in known if other != env), None)
            raise WrongConfiguration(
                f"environments/{name} is missing",
                hint=f"cp environments/{like}{Path(name).suffix} environments/{name}, then edit it"
                if like
                else f"write environments/{name}",
            )


def _text_of(path: Path) -> str:
    """Return the text of a file in environments/; raises WrongConfiguration where it is none."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        name = f"environments/{path.name}"
        line = error.object[: error.start].count(b"\n") + 1
        raise WrongConfiguration(f"{name} is not UTF-8 (line {line})", hint=_edit(name)) from error


def _edit(name: str) -> str:
    return f"edit {name}, then run the same command again"
