"""Where every client is built, from one environment's configuration."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from lifeboat.config import Project
from lifeboat.errors import WrongConfiguration
from lifeboat.gitlab_config import GitLabSettings
from lifeboat.model import Address, ImageId, Owner, Recovery, RunId, Secret
from lifeboat.state_model import LockedState, StatePlace, StateRoot

if TYPE_CHECKING:
    from lifeboat.clients.alarm_routes import AlarmRoutes
    from lifeboat.clients.alarm_settings import AlarmSettings
    from lifeboat.clients.backup_points import BackupPoints
    from lifeboat.clients.canary import Canary
    from lifeboat.clients.checkov import Checkov
    from lifeboat.clients.database_answers import DatabaseAnswers
    from lifeboat.clients.database_restores import DatabaseRestores
    from lifeboat.clients.database_snapshots import DatabaseSnapshots
    from lifeboat.clients.databases import Databases
    from lifeboat.clients.drill_networks import DrillNetworks
    from lifeboat.clients.drill_things import DrillThings
    from lifeboat.clients.dump_bucket import DumpBucket
    from lifeboat.clients.dump_store import DumpStore, OtherBucket
    from lifeboat.clients.dump_uploads import Uploads
    from lifeboat.clients.encryption_keys import EncryptionKeys
    from lifeboat.clients.evidence_store import EvidenceStore
    from lifeboat.clients.gitlab import GitLab
    from lifeboat.clients.gitlab_api import GitLabApi, Patience
    from lifeboat.clients.gitlab_pipelines import GitLabPipelines
    from lifeboat.clients.hosts import Hosts
    from lifeboat.clients.images import Images
    from lifeboat.clients.instances import Instances
    from lifeboat.clients.inventory import Finder, Inventory
    from lifeboat.clients.journal import Journal, JournalBucket
    from lifeboat.clients.lease import Lease
    from lifeboat.clients.listening_queue import ListeningQueue
    from lifeboat.clients.local_cloud import LocalCloud
    from lifeboat.clients.names import Names
    from lifeboat.clients.owned_things import OwnedThings
    from lifeboat.clients.plan_records import PlanRecords
    from lifeboat.clients.postgres import Postgres, ServerAddress
    from lifeboat.clients.protection_settings import ProtectionSettings
    from lifeboat.clients.quick_objects import QuickObjects
    from lifeboat.clients.restore_tests import RestoreTests
    from lifeboat.clients.run_spans import RunSpans
    from lifeboat.clients.secret_store import SecretStore
    from lifeboat.clients.service_clock import ServiceClock
    from lifeboat.clients.state_locks import StateLocks
    from lifeboat.clients.state_memory import StateMemory
    from lifeboat.clients.state_store import StateStore
    from lifeboat.clients.state_versions import StateVersions
    from lifeboat.clients.state_writing import StateWriting
    from lifeboat.clients.switches import Switches
    from lifeboat.clients.terraform import Terraform
    from lifeboat.clients.variable_exports import VariableExports
    from lifeboat.clients.zones import Zones

# What `lifeboat local env` puts into a shell for psql and GitLab, and Terraform has no use for.
_NOT_TERRAFORMS = {"DATABASE_URL", "PGPASSWORD", "GITLAB_TOKEN"}
_NO_CONFIGURATION = {
    "profile": (None, None, None, None),
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
    "ca_bundle": (None, None, None, None),
}
_ROLE_OF_A_CONTAINER = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
_CONNECT_SECONDS = 5
_READ_SECONDS = 30
_ATTEMPTS = 5  # the first one included
_MEMORY_ATTEMPTS = 2
# Requests that one client makes at the same time. S3 answers a small one in some 30 ms, of which we work 2.
CONNECTIONS = 16


class Site:
    """One environment and the clients for everything in it."""

    def __init__(self, project: Project, env: Mapping[str, str]) -> None:
        self.project = project
        self.caller_env = env
        self._clients: dict[tuple[str, str], Any] = {}
        self._making = Lock()  # a session makes one client at a time

    # -- AWS -----------------------------------------------------------------------------------------------------

    def client(self, service: str, region: str) -> Any:
        """Return a boto3 client of this environment."""
        # Reading the services' models is most of the work of a command that makes its clients each time anew.
        with self._making:
            if (service, region) not in self._clients:
                self._clients[service, region] = self._new_client(service, region, attempts=_ATTEMPTS)
            return self._clients[service, region]

    def _own_client(self, service: str, region: str, *, attempts: int) -> Any:
        with self._making:
            return self._new_client(service, region, attempts=attempts)

    @cached_property
    def _botocore_session(self) -> botocore.session.Session:
        from lifeboat.clients.sdk import moment

        # At an endpoint of its own nothing of the caller's AWS configuration counts, not even a profile that does not exist.
        variables = None if self.project.environment.endpoint is None else _NO_CONFIGURATION
        made = botocore.session.Session(session_vars=variables)
        made.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=moment)
        return made

    @cached_property
    def _session(self) -> boto3.Session:
        return boto3.Session(botocore_session=self._botocore_session)

    def _new_client(self, service: str, region: str, *, attempts: int) -> Any:
        endpoint = self.project.environment.endpoint
        config = Config(
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=_READ_SECONDS,
            max_pool_connections=CONNECTIONS,
            retries={"mode": "standard", "total_max_attempts": attempts},
            s3={"addressing_style": "path" if endpoint else "auto"},
            # What answers on loopback is not asked through the caller's proxy.
            proxies=None if endpoint is None else {},
        )
        asked: dict[str, Any] = {"region_name": region, "config": config}
        if endpoint is not None:
            asked |= {"endpoint_url": endpoint.url, "verify": False}
        if self._endpoints_keys is not None:
            asked |= dict(zip(("aws_access_key_id", "aws_secret_access_key"), self._endpoints_keys, strict=True))
        try:
            return self._session.client(service, **asked)  # type: ignore[call-overload]
        except BotoCoreError as error:  # nothing is asked yet: it is what the shell or ~/.aws/config say
            raise WrongConfiguration(
                f"boto3 cannot be set up: {error}",
                hint="correct or unset that AWS_… variable, or what ~/.aws/config says; env | grep ^AWS_ shows those that are set",
            ) from error

    @property
    def _endpoints_keys(self) -> tuple[str, str] | None:
        """The keys of an environment at an endpoint of its own; None where those of the caller count."""
        endpoint = self.project.environment.endpoint
        # Inside a container that was given a role, that role works, as it does on AWS.
        if endpoint is None or _ROLE_OF_A_CONTAINER in self.caller_env:
            return None
        return endpoint.access_key_id, endpoint.secret_access_key

    def _quick_objects(self, bucket: str, region: str) -> QuickObjects | None:
        """Return the small objects of a bucket; None where only boto3 knows the way to S3."""
        from lifeboat.clients.quick_objects import Door, QuickObjects, may_be_asked

        door = Door(
            url=self.client("s3", region).meta.endpoint_url,
            region=region,
            session=self._botocore_session,
            keys=self._endpoints_keys,
            connect_seconds=_CONNECT_SECONDS,
            read_seconds=_READ_SECONDS,
        )
        return QuickObjects(bucket=bucket, door=door) if may_be_asked(door, os.environ) else None

    def signed_in(self) -> bool:
        """Return whether there are credentials at all, whosever they are. Raises Unreachable where that cannot be told."""
        from lifeboat.clients.sdk import translated

        with translated("look for credentials of AWS"):
            return self._session.get_credentials() is not None

    def as_break_glass(self) -> dict[str, str]:
        """Return the environment variables of a session of one hour in the environment's break-glass role."""
        from lifeboat.clients.sdk import translated

        application = self.project.environment.application
        # By its name (modules/recovery-roles), since a destroy that was cut off may have left no outputs to read.
        role_arn = f"arn:aws:iam::{application.account_id}:role/{application.name}-break-glass"
        with translated(f"assume {role_arn}"):
            answer = self.client("sts", application.region).assume_role(
                RoleArn=role_arn, RoleSessionName="lifeboat-destroy"
            )
        session = answer["Credentials"]
        return {
            "AWS_ACCESS_KEY_ID": session["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": session["SecretAccessKey"],
            "AWS_SESSION_TOKEN": session["SessionToken"],
        }

    def shell(self, command: str) -> str:
        """Return a command for the operator's shell, with what it needs before it to reach this environment."""
        if self.project.environment.endpoint is None:
            return command
        return f'eval "$(lifeboat local env -e {self.project.env})" && {command}'

    def shell_as_break_glass(self, command: str) -> str:
        """Return a command for the operator's shell that is typed in the break-glass role, and leaves the shell as it was."""
        application = self.project.environment.application
        role = f"arn:aws:iam::{application.account_id}:role/{application.name}-break-glass"
        names = ("AWS_ACCESS_KEY_ID", "AccessKeyId"), ("AWS_SECRET_ACCESS_KEY", "SecretAccessKey")
        pairs = [*names, ("AWS_SESSION_TOKEN", "SessionToken")]
        exports = ", ".join(f"join('=', ['{name}', Credentials.{field}])" for name, field in pairs)
        taken = (
            f"aws sts assume-role --role-arn {role} --role-session-name by-hand --output text"
            f" --query \"join(' ', ['export', {exports}])\""
        )
        return self.shell(f'(keys="$({taken})" && eval "$keys" && {command})')

    def by_hand(self, root: Path) -> str:
        """Return how to call Terraform for this environment in the operator's shell, up to its subcommand."""
        data = self.project.work / "terraform" / root.name
        return self.shell(f"TF_DATA_DIR={data} terraform -chdir={root}")

    def stack_store(self) -> StateStore:
        """Return the state of the stack."""
        return self._store(self.project.environment.state.key)

    def root_store(self) -> StateStore:
        """Return the state of root 1, which made the bucket that it lies in."""
        return self._store(self.project.environment.state.root_key)

    def _store(self, key: str) -> StateStore:
        from lifeboat.clients.state_store import StateStore

        state, region = self.project.environment.state, self.project.environment.application.region
        return StateStore(
            s3=self.client("s3", region),
            dynamodb=self.client("dynamodb", region),
            bucket=state.bucket,
            key=key,
            table=state.lock_table,
            keeps_digest=state.lock_mode != "lockfile",
        )

    def replica_store(self) -> StateStore:
        """Return the stack's state as S3 copied it to the other region, where nothing locks it."""
        from lifeboat.clients.state_store import StateStore

        state, region = self.project.environment.state, self.project.environment.application.dr_region
        return StateStore(
            s3=self.client("s3", region),
            dynamodb=self.client("dynamodb", region),
            bucket=state.replica_bucket,
            key=state.key,
            table=state.lock_table,
            keeps_digest=False,
        )

    def owned_things(self) -> OwnedThings:
        """Return what bears the environment's tags, in any region."""
        from lifeboat.clients.owned_things import OwnedThings

        return OwnedThings(client=self.client, owner=self.owner())

    def state_locks(self, root: StateRoot) -> StateLocks:
        """Return Terraform's own lock of one root's state, in the places that the environment's mode looks at."""
        from lifeboat.clients.state_locks import StateLocks

        state, region = self.project.environment.state, self.project.environment.application.region
        return StateLocks(
            s3=self.client("s3", region),
            dynamodb=self.client("dynamodb", region),
            state=LockedState(
                bucket=state.bucket,
                key=state.key if root is StateRoot.STACK else state.root_key,
                table=state.lock_table,
                mode=state.lock_mode,
                endpoint="" if self.project.environment.endpoint is None else self.project.environment.endpoint.url,
            ),
        )

    def state_versions(self, root: StateRoot) -> StateVersions:
        """Return the history of a root's state, in the bucket that is written to."""
        state, application = self.project.environment.state, self.project.environment.application
        # Root 1's is put there by lifeboat, under the environment's lease; Terraform keeps no digest of it.
        keeps = root is StateRoot.STACK and state.lock_mode != "lockfile"
        return self._versions(root, (state.bucket, application.region), keeps_digest=keeps)

    def replica_state_versions(self, root: StateRoot) -> StateVersions:
        """Return the same as S3 copied it to the other region, version ids included; of it no digest is kept."""
        state, application = self.project.environment.state, self.project.environment.application
        return self._versions(root, (state.replica_bucket, application.dr_region), keeps_digest=False)

    def _versions(self, root: StateRoot, where: tuple[str, str], *, keeps_digest: bool) -> StateVersions:
        from lifeboat.clients.known_versions import KnownVersions
        from lifeboat.clients.state_versions import Reading, StateVersions
        from lifeboat.decisions import state_documents

        state, (bucket, region) = self.project.environment.state, where
        place = StatePlace(
            root=root,
            bucket=bucket,
            key=state.key if root is StateRoot.STACK else state.root_key,
            region=region,
            keeps_digest=keeps_digest,
            replica=bucket == state.replica_bucket,
        )
        known = self.project.work / "known-versions" / f"{root.value}{'-replica' if place.replica else ''}.json"
        return StateVersions(
            s3=self.client("s3", region),
            place=place,
            reading=Reading(
                facts=state_documents.facts,
                known=KnownVersions(path=known),
                quick=self._quick_objects(bucket, region),
            ),
            digest=self._store(place.key).digest,
        )

    def state_writing(self, root: StateRoot) -> StateWriting:
        """Return the top of a root's state, in the bucket that Terraform reads."""
        from lifeboat.clients.state_writing import StateWriting

        place = self.state_versions(root).place
        return StateWriting(s3=self.client("s3", place.region), bucket=place.bucket, key=place.key)

    def state_memory(self) -> StateMemory:
        """Return what is written down in the other region of the states that were found sound."""
        from lifeboat.clients.state_memory import StateMemory

        bucket = self.project.environment.state.replica_bucket
        return StateMemory(s3=self._memory_client, bucket=bucket, env=self.project.env)

    @cached_property
    def _memory_client(self) -> Any:
        # A recovery goes on without an answer, and does not wait a minute for one.
        region = self.project.environment.application.dr_region
        return self._own_client("s3", region, attempts=_MEMORY_ATTEMPTS)

    def run_spans(self, bucket: str, region: str) -> RunSpans:
        """Return when runs worked: those whose journals are in a state bucket, and those of this machine."""
        from lifeboat.clients.run_spans import RunSpans

        return RunSpans(s3=self.client("s3", region), bucket=bucket, work=self.project.work)

    def lease(self, run: RunId, tell: Callable[[str], None] = lambda _: None, *, again: str = "") -> Lease:
        """Return the lease on this environment, for one run; what keeps us from taking it at once is told.

        `again` is the command that goes on where the lease is lost: the same one where it is left out.
        """
        from lifeboat.clients import lease
        from lifeboat.clients.lease import Lease

        state, application = self.project.environment.state, self.project.environment.application
        return Lease(
            dynamodb=self.client("dynamodb", application.region),
            table=state.lock_table,
            name=self.project.env,
            run=run,
            patience=lease.patience(tell),
            again=again,
        )

    def drill_lease(self, run: RunId, tell: Callable[[str], None] = lambda _: None) -> Lease:
        """Return the lease that keeps drills of this environment apart; it keeps nobody out who is no drill."""
        from lifeboat.clients import lease
        from lifeboat.clients.lease import Lease

        state, application = self.project.environment.state, self.project.environment.application
        return Lease(
            dynamodb=self.client("dynamodb", application.region),
            table=state.lock_table,
            name=f"{self.project.env}/drill",
            run=run,
            patience=lease.patience(tell),
        )

    def drill_things(self) -> DrillThings:
        """Return what drills made, of both regions."""
        from lifeboat.clients.drill_things import DrillThings

        return DrillThings(client=self.client)

    def drill_networks(self, region: str) -> DrillNetworks:
        """Return what leads out of the networks of a region."""
        from lifeboat.clients.drill_networks import DrillNetworks

        return DrillNetworks(ec2=self.client("ec2", region))

    def canary(self, recovery: Recovery) -> Canary:
        """Return the row that a drill writes into the database's heartbeat and looks for in a restored one."""
        from lifeboat.clients.canary import Canary

        return Canary(self.new_postgres(recovery))

    def journals(self) -> JournalBucket:
        """Return the journals of this environment's runs."""
        from lifeboat.clients.journal import JournalBucket

        state, application = self.project.environment.state, self.project.environment.application
        return JournalBucket(s3=self.client("s3", application.region), bucket=state.bucket)

    def journal(self, run: RunId) -> Journal:
        """Return the journal of one run, not yet read."""
        from lifeboat.clients.journal import Journal

        path = self.project.work / "journals" / run / "journal.jsonl"
        return Journal(run=run, path=path, bucket=self.journals(), now=lambda: datetime.now(UTC))

    def inventory(self) -> Inventory:
        """Return the look-up of things that exist, by name and tag."""
        from lifeboat.clients import inventory

        return self._inventory(inventory.FINDERS, {})

    def whole_inventory(self, chosen: Mapping[Address, str]) -> Inventory:
        """Return the look-up of what an apply would write again too; of what could be several, the ids that were chosen."""
        from lifeboat.clients import inventory_rewritten

        return self._inventory(inventory_rewritten.EVERYTHING, chosen)

    def _inventory(self, finders: Mapping[str, Finder], chosen: Mapping[Address, str]) -> Inventory:
        from lifeboat.clients.inventory import Inventory

        application = self.project.environment.application
        return Inventory(
            client=self.client,
            region=application.region,
            dr_region=application.dr_region,
            application=application.name,
            environment=self.project.env,
            finders=finders,
            chosen=chosen,
        )

    def owner(self) -> Owner:
        """Return whose images and snapshots are this environment's."""
        application = self.project.environment.application
        return Owner(account_id=application.account_id, application=application.name, environment=self.project.env)

    def images(self) -> Images:
        """Return the machine images and snapshots, of both regions."""
        from lifeboat.clients.images import Images

        return Images(client=self.client, owner=self.owner())

    def instances(self) -> Instances:
        """Return the application's instances of the primary region."""
        from lifeboat.clients.instances import Instances

        region = self.project.environment.application.region
        return Instances(
            ec2=self.client("ec2", region), quotas=self.client("service-quotas", region), owner=self.owner()
        )

    def hosts(self, region: str) -> Hosts:
        """Return the application's instances in a region."""
        from lifeboat.clients.hosts import Hosts

        return Hosts(
            ec2=partial(self.client, "ec2", region),
            ssm=self.client("ssm", region),
            # Never sent twice, so over a connection of its own, which cannot have gone stale.
            sender=self._own_client("ssm", region, attempts=1),
        )

    def restore_tests(self) -> RestoreTests:
        """Return what restore tests of AWS Backup left for somebody to look at, in the primary region."""
        from lifeboat.clients.restore_tests import RestoreTests

        return RestoreTests(self.client("rds", self.project.environment.application.region))

    # -- alarms --------------------------------------------------------------------------------------------------------

    def alarm_routes(self) -> AlarmRoutes:
        """Return what rings for this environment, in both regions."""
        from lifeboat.clients.alarm_routes import AlarmRoutes

        return AlarmRoutes(client=self.client, application=self.project.environment.application.name)

    def listening_queue(self, region: str, name: str) -> ListeningQueue:
        """Return a queue of this name that is still to be made."""
        from lifeboat.clients.listening_queue import ListeningQueue

        return ListeningQueue(client=self.client, region=region, name=name)

    # -- the public name ---------------------------------------------------------------------------------------------

    def names(self) -> Names:
        """Return who answers for names: the environment's resolver, else the zones' own name servers."""
        from lifeboat.clients.names import Names

        return Names(resolver=self.project.environment.dns.server)

    def zones(self) -> Zones:
        """Return the hosted zones of the account (Route 53 has no regions)."""
        from lifeboat.clients.zones import Zones

        return Zones(self.client("route53", self.project.environment.application.region))

    def switches(self) -> Switches:
        """Return the records that were replaced, here and in the state bucket."""
        from lifeboat.clients.switches import Switches

        environment = self.project.environment
        return Switches(
            folder=self.project.work / "dns",
            s3=self.client("s3", environment.application.region),
            bucket=environment.state.bucket,
        )

    # -- the local cloud ---------------------------------------------------------------------------------------------

    def local_cloud(self) -> LocalCloud | None:
        """Return the local cloud; None where the environment is AWS itself."""
        from lifeboat.clients.local_cloud import LocalCloud

        environment, directory = self.project.environment, self.project.cloud_directory
        if environment.local_cloud is None or environment.endpoint is None or directory is None:
            return None
        return LocalCloud(
            url=environment.endpoint.url,
            directory=directory,
            command=[str(self.project.root) if word == "{root}" else word for word in environment.local_cloud.command],
            network=environment.local_cloud.network,
        )

    def secrets(self, region: str) -> SecretStore:
        """Return the secrets of one region."""
        from lifeboat.clients.secret_store import SecretStore

        return SecretStore(self.client("secretsmanager", region))

    def databases(self, region: str) -> Databases:
        """Return the databases of a region."""
        from lifeboat.clients.databases import Databases

        return Databases(self.client("rds", region))

    def postgres(self, recovery: Recovery) -> Postgres:
        """Return the stack's database, signed in to as the environment's file says ([database] sign_in)."""
        from lifeboat.clients.databases import Databases
        from lifeboat.clients.postgres import Postgres

        settings = self.project.environment.database
        if settings.sign_in == "password":
            return self.new_postgres(recovery)
        address = self._address(recovery, settings.sign_in)
        return Postgres(
            address=address, password=partial(Databases(self.client("rds", recovery.region)).token, address)
        )

    def new_postgres(self, recovery: Recovery) -> Postgres:
        """Return the same, signed in to by its password: in an empty one nobody was granted to sign in otherwise."""
        from lifeboat.clients.postgres import Postgres

        store, secret = self.secrets(recovery.region), recovery.database.password_secret_arn
        return Postgres(address=self._address(recovery, "password"), password=lambda: store.entry(secret, "password"))

    def _address(self, recovery: Recovery, sign_in: Literal["password", "iam"]) -> ServerAddress:
        from lifeboat.clients.postgres import ServerAddress

        database, settings = recovery.database, self.project.environment.database
        return ServerAddress(
            host=database.address,
            port=database.port,
            database=database.name,
            user=database.username,
            sign_in=sign_in,
            ca_file=None if settings.ca_file is None else self.project.root / settings.ca_file,
            region=recovery.region,
        )

    def dump_store(self, recovery: Recovery) -> DumpStore:
        """Return the environment's dumps in the bucket that they are written to."""
        from lifeboat.clients.dump_store import OtherBucket

        other = OtherBucket(bucket=recovery.dumps.replica_bucket, region=recovery.dr_region)
        return self.dumps_in(recovery.dumps.bucket, recovery.region, recovery.dumps.prefix, other)

    def dump_uploads(self, recovery: Recovery) -> Uploads:
        """Return the uploads to the bucket of dumps; to be closed."""
        from lifeboat.clients.dump_uploads import Uploads

        return Uploads(s3=self.client("s3", recovery.region), bucket=recovery.dumps.bucket)

    def dumps_in(self, bucket: str, region: str, prefix: str, other: OtherBucket | None = None) -> DumpStore:
        """Return the environment's dumps in a bucket; what the stack says is not needed for it.

        Without the bucket of the other region nobody tells the proofs of that one's copies apart.
        """
        from lifeboat.clients.dump_store import DumpPlace, DumpStore, ManifestForm
        from lifeboat.decisions import manifests

        place = DumpPlace(
            bucket=bucket,
            region=region,
            prefix=prefix,
            application=self.project.environment.application.name,
            environment=self.project.env,
            other=other,
        )
        return DumpStore(
            s3=self.client("s3", region),
            place=place,
            form=ManifestForm(read=manifests.read, written=manifests.written),
            quick=self._quick_objects(bucket, region),
        )

    def dump_bucket(self, bucket: str, region: str) -> DumpBucket:
        """Return a bucket of dumps, as far as its rules and keys are concerned."""
        from lifeboat.clients.dump_bucket import DumpBucket

        return DumpBucket(s3=self.client("s3", region), bucket=bucket, region=region)

    def evidence(self, bucket: str) -> EvidenceStore:
        """Return the evidence of runs in the bucket of dumps; its digests lie in the state bucket of the other region."""
        from lifeboat.clients.evidence_store import EvidencePlace, EvidenceStore, Writing
        from lifeboat.decisions import evidence_chain

        state, application = self.project.environment.state, self.project.environment.application
        return EvidenceStore(
            s3=self.client("s3", application.region),
            head_s3=self._memory_client,
            place=EvidencePlace(name=application.name, bucket=bucket, head_bucket=state.replica_bucket),
            writing=Writing(written=evidence_chain.linked, read=evidence_chain.stored),
        )

    def database_snapshots(self) -> DatabaseSnapshots:
        """Return the snapshots and automated backups of databases, of both regions."""
        from lifeboat.clients.database_snapshots import DatabaseSnapshots

        return DatabaseSnapshots(client=self.client, application=self.project.environment.application.name)

    def backup_points(self) -> BackupPoints:
        """Return AWS Backup's recovery points, of both regions."""
        from lifeboat.clients.backup_points import BackupPoints

        return BackupPoints(self.client)

    def encryption_keys(self, region: str) -> EncryptionKeys:
        """Return KMS's keys of a region."""
        from lifeboat.clients.encryption_keys import EncryptionKeys

        return EncryptionKeys(self.client("kms", region), region=region)

    def database_restores(self, region: str) -> DatabaseRestores:
        """Return the application's databases of a region and their copies, for restores."""
        from lifeboat.clients.database_restores import DatabaseRestores

        return DatabaseRestores(
            self.client("rds", region), region=region, application=self.project.environment.application.name
        )

    def database_answers(self, recovery: Recovery) -> DatabaseAnswers:
        """Return what the stack's database tells of its data, asked with its password."""
        from lifeboat.clients.database_answers import DatabaseAnswers

        return DatabaseAnswers(self.new_postgres(recovery))

    # -- what watches and protects -----------------------------------------------------------------------------------

    def protection_settings(self) -> ProtectionSettings:
        """Return how copies are protected, in both regions."""
        from lifeboat.clients.protection_settings import ProtectionSettings

        return ProtectionSettings(self.client)

    def alarm_settings(self) -> AlarmSettings:
        """Return the alarms, rules, topics and metrics of this environment, in both regions."""
        from lifeboat.clients.alarm_settings import AlarmSettings

        return AlarmSettings(self.client, self.project.environment.application.name)

    def plan_records(self) -> PlanRecords:
        """Return what the last plan or apply of the stack found."""
        from lifeboat.clients.plan_records import PlanRecords

        state, application = self.project.environment.state, self.project.environment.application
        return PlanRecords(s3=self.client("s3", application.region), bucket=state.bucket)

    def service_clock(self) -> ServiceClock:
        """Return AWS's clock in the primary region."""
        from lifeboat.clients.service_clock import ServiceClock

        return ServiceClock(self.client("sts", self.project.environment.application.region))

    # -- GitLab ----------------------------------------------------------------------------------------------------

    @property
    def gitlab_settings(self) -> GitLabSettings:
        """What the environment's file says of GitLab; raises WrongConfiguration where it says nothing."""
        settings = self.project.environment.gitlab
        if settings is None:
            raise WrongConfiguration(
                f"environment {self.project.env} has no [gitlab]",
                hint=f"write [gitlab] into environments/{self.project.env}.toml; environments/local.toml shows how",
            )
        return settings

    @property
    def gitlab_environment(self) -> str:
        """The name that this environment has in GitLab."""
        return self.gitlab_settings.environment or self.project.env

    def gitlab(self, patience: Patience) -> GitLab:
        """Return the project's variables, settings and protection."""
        from lifeboat.clients.gitlab import GitLab

        return GitLab(self._gitlab_api(patience))

    def gitlab_pipelines(self, patience: Patience) -> GitLabPipelines:
        """Return the project's pipelines, jobs and deployments."""
        from lifeboat.clients.gitlab_pipelines import GitLabPipelines

        return GitLabPipelines(self._gitlab_api(patience))

    def _gitlab_api(self, patience: Patience) -> GitLabApi:
        from lifeboat.clients.gitlab_api import GitLabApi

        settings = self.gitlab_settings
        limits = (float(settings.request_seconds), patience)
        return GitLabApi(url=settings.url, project=settings.project, token=self.gitlab_token(), limits=limits)

    def gitlab_token(self) -> Secret:
        """Return the token from where the environment's file says; it never comes by an option."""
        from lifeboat.clients import token_file

        settings = self.gitlab_settings
        if settings.token_file is not None:
            return token_file.read(self.project.root / settings.token_file, settings.token_entry)
        name = settings.token_env or ""
        return token_file.checked(self.caller_env.get(name, ""), f"the environment variable {name}")

    def variable_exports(self, recovery: Recovery) -> VariableExports:
        """Return where exports of GitLab's variables lie: the dump bucket, versioned, locked, encrypted and copied."""
        from lifeboat.clients.variable_exports import VariableExports

        return VariableExports(
            s3=self.client("s3", recovery.region), bucket=recovery.dumps.bucket, environment=self.project.env
        )

    # -- scanners ---------------------------------------------------------------------------------------------------

    def checkov(self) -> Checkov:
        """Return checkov, in its own virtual environment. Raises WrongConfiguration where that is not made yet."""
        from lifeboat.clients.checkov import Checkov

        python = self.project.root / ".venv-scan" / "bin" / "python"
        if not os.access(python, os.X_OK):
            raise WrongConfiguration(
                f"the scan tools are not installed: there is no {python}",
                hint="make scan-tools; without them: lifeboat scan --native",
            )
        return Checkov(python=python, policies=self.project.root / "terraform" / "policies")

    # -- Terraform -------------------------------------------------------------------------------------------------

    def state_terraform(self, *, teardown: bool = False, state: Path | None = None) -> Terraform:
        """Return root 1; its working state is a file (this environment's own unless named), pushed into the bucket."""
        from lifeboat.clients.terraform import Terraform

        return Terraform(
            root=self.project.state_root,
            data=self.project.work / "terraform" / "state",
            env=self.terraform_env(),
            variables={**self.variables(teardown=teardown), "lock_mode": self.project.environment.state.lock_mode},
            settings=self.project.settings_file,
            state=state or self.root_state_file,
        )

    def stack_terraform(self, *, teardown: bool = False, credentials: Mapping[str, str] | None = None) -> Terraform:
        """Return root 2, run with the caller's credentials unless others are given."""
        from lifeboat.clients.terraform import Terraform

        return Terraform(
            root=self.project.stack_root,
            data=self.project.work / "terraform" / "stack",
            env={**self.terraform_env(), **(credentials or {})},
            variables=self.variables(teardown=teardown),
            var_files=self.project.var_files,
        )

    def stack_terraform_of(
        self, run: RunId, *, image: ImageId | None = None, variables: Mapping[str, str] | None = None
    ) -> Terraform:
        """Return root 2 for a run, marked as its work; an image and variables that are given count whatever the files say."""
        from lifeboat.clients.run_files import RUN_MARK
        from lifeboat.clients.terraform import Terraform

        return Terraform(
            root=self.project.stack_root,
            data=self.project.work / "terraform" / "stack",
            env={**self.terraform_env(), RUN_MARK: run},
            # What is given by -var after the files counts.
            variables={
                **self.variables(teardown=False),
                **(variables or {}),
                **({} if image is None else {"ami_id": image}),
            },
            var_files=self.project.var_files,
        )

    def drill_terraform(self, run: RunId) -> Terraform:
        """Return root 2 for a drill, with a data folder of its own: what is told of its backend there counts nowhere else."""
        from lifeboat.clients.run_files import RUN_MARK
        from lifeboat.clients.terraform import Terraform

        return Terraform(
            root=self.project.stack_root,
            data=self.project.work / "terraform" / "drill",
            env={**self.terraform_env(), RUN_MARK: run},
            variables=self.variables(teardown=False),
            var_files=self.project.var_files,
        )

    def drill_backend(self, key: str) -> dict[str, str]:
        """Return the backend configuration of a copy of the state, which nobody else knows and so nobody locks."""
        settings = {
            name: value for name, value in self.backend().items() if name not in ("dynamodb_table", "use_lockfile")
        }
        return {**settings, "key": key}

    def offline_stack(self) -> Terraform:
        """Return a copy of root 2 that needs no account: a local empty state, and no call to AWS."""
        return self.offline_terraform(StateRoot.STACK)

    def offline_terraform(self, root: StateRoot) -> Terraform:
        """Return a copy of a root that needs no account: a local empty state, and no call to AWS."""
        from lifeboat.clients.terraform import Terraform

        stack = root is StateRoot.STACK
        original = self.project.stack_root if stack else self.project.state_root
        folder = self.project.work / "offline"
        copy = folder / "terraform" / original.name
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir(parents=True)
        for path in [*original.glob("*.tf"), original / ".terraform.lock.hcl"]:
            shutil.copy(path, copy)
        (copy / "lifeboat_override.tf").write_text('terraform {\n  backend "local" {}\n}\n')
        modules = folder / "modules"
        if not modules.is_symlink():
            modules.symlink_to(self.project.root / "modules")
        env = {
            **self.terraform_env(),
            "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "offline",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        mode = {} if stack else {"lock_mode": self.project.environment.state.lock_mode}
        return Terraform(
            root=copy,
            data=folder / ("data" if stack else "data-state"),
            env=env,
            variables={**self.variables(teardown=False), **mode, "offline": "true"},
            var_files=self.project.var_files if stack else (),
            settings=self.project.settings_file,
        )

    def scratch_terraform(self, root: StateRoot, folder: Path) -> Terraform:
        """Return a copy of a root in a folder of its own, where its state is a file: the backend is not touched by it."""
        from lifeboat.clients.terraform import Terraform

        original = self.project.stack_root if root is StateRoot.STACK else self.project.state_root
        copy = folder / "terraform" / original.name
        copy.mkdir(parents=True)
        for path in [*original.glob("*.tf"), original / ".terraform.lock.hcl"]:
            shutil.copy(path, copy)
        (copy / "lifeboat_override.tf").write_text('terraform {\n  backend "local" {}\n}\n')
        (folder / "modules").symlink_to(self.project.root / "modules")
        variables = self.variables(teardown=False)
        if root is StateRoot.BACKEND:
            variables["lock_mode"] = self.project.environment.state.lock_mode
        return Terraform(
            root=copy,
            data=self.project.work / "terraform" / f"scratch-{original.name}",  # the provider stays for the next time
            env=self.terraform_env(),
            variables=variables,
            var_files=self.project.var_files if root is StateRoot.STACK else (),
            settings=self.project.settings_file,
        )

    @property
    def root_state_file(self) -> Path:
        """The working copy of root 1's state."""
        return self.project.work / "state-root.tfstate"

    def backend(self) -> dict[str, str]:
        """Return the stack's backend configuration, as `terraform init -backend-config` takes it."""
        state, application = self.project.environment.state, self.project.environment.application
        # No `encrypt`: it would ask for AES256 in each request, which the bucket's policy denies. The bucket encrypts
        # with its own key by default (docs/decisions/state-encryption.md).
        settings = {"bucket": state.bucket, "key": state.key, "region": application.region}
        if state.lock_mode in ("both", "dynamodb"):
            settings["dynamodb_table"] = state.lock_table
        if state.lock_mode in ("both", "lockfile"):
            settings["use_lockfile"] = "true"
        if self.project.environment.endpoint is not None:
            settings["use_path_style"] = "true"
        return settings

    def variables(self, *, teardown: bool) -> dict[str, str]:
        """Return what both roots take from environments/<env>.toml."""
        environment = self.project.environment
        return {
            "name": environment.application.name,
            "environment": self.project.env,
            "account_id": environment.application.account_id,
            "region": environment.application.region,
            "dr_region": environment.application.dr_region,
            "teardown": "true" if teardown else "false",
            "s3_use_path_style": "true" if environment.endpoint else "false",
            "provider_max_retries": str(environment.terraform.max_retries),
        }

    def terraform_env(self) -> dict[str, str]:
        """Return the environment variables of a Terraform process: the caller's, without what would change its meaning."""
        from lifeboat.clients import provider_mirror

        gitlab = self.project.environment.gitlab
        withheld = {*_NOT_TERRAFORMS, *([gitlab.token_env] if gitlab is not None and gitlab.token_env else [])}
        env = {
            k: v
            for k, v in self.caller_env.items()
            if (not k.startswith("TF_") or k in ("TF_CLI_CONFIG_FILE", "TF_LOG")) and k not in withheld
        }
        configuration = provider_mirror.configuration(self.project.work, self.caller_env)
        if configuration is not None:
            env["TF_CLI_CONFIG_FILE"] = str(configuration)
        return {**env, **self.aws_env()}

    def aws_env(self) -> dict[str, str]:
        """Return the AWS_* variables that reach this environment; nothing for AWS itself, where the caller's count."""
        endpoint, application = self.project.environment.endpoint, self.project.environment.application
        if endpoint is None:
            return {}
        return {
            "AWS_ENDPOINT_URL": endpoint.url,
            "AWS_ACCESS_KEY_ID": endpoint.access_key_id,
            "AWS_SECRET_ACCESS_KEY": endpoint.secret_access_key,
            "AWS_REGION": application.region,
            "AWS_DEFAULT_REGION": application.region,
            # Leftovers of the caller's shell that would point elsewhere.
            "AWS_SESSION_TOKEN": "",
            "AWS_PROFILE": "",
            "AWS_CA_BUNDLE": "",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "NO_PROXY": self._no_proxy(endpoint.url),
            "no_proxy": self._no_proxy(endpoint.url),
            "AWS_EC2_METADATA_DISABLED": "true",
            # A service's own address wins over that of all; this turns both off.
            **{name: endpoint.url for name in self.caller_env if name.startswith("AWS_ENDPOINT_URL_")},
            "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false",
        }

    def _no_proxy(self, url: str) -> str:
        """Return the caller's exceptions from its proxy, and with them everything that is on loopback."""
        local = self.project.environment.local_cloud
        ours = [urlsplit(url).hostname or "", "localhost", *([] if local is None else [f"{local.network}.0.0/16"])]
        theirs = self.caller_env.get("NO_PROXY") or self.caller_env.get("no_proxy") or ""
        return ",".join([*(name for name in theirs.split(",") if name and name not in ours), *ours])


def site(project: Project) -> Site:
    """Return the site of a project, seen through this process's environment variables."""
    return Site(project, dict(os.environ))
