"""`lifeboat scan` and `lifeboat policy`: plans judged by the rules of disaster recovery, and the rules themselves."""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from pathlib import Path

from lifeboat import config
from lifeboat.checkov_model import Asked, CheckovRun
from lifeboat.clients import private_files, programs, report_files, run_files, written_blocks
from lifeboat.clients.checkov import Checkov
from lifeboat.decisions.policy import built_in, judging, reading, report, waivers
from lifeboat.decisions.policy.built_in import BuiltIn
from lifeboat.decisions.policy.formats.files import NAMES, files
from lifeboat.decisions.policy.report import Report, Subject
from lifeboat.decisions.policy.reported import Looked, Place
from lifeboat.decisions.policy.rule import Standing
from lifeboat.decisions.policy.validity import Evidence
from lifeboat.decisions.policy.waivers import Waiver
from lifeboat.errors import DONE, Failed, ScanNotValid, TerraformFailed, WrongConfiguration
from lifeboat.model import Teller
from lifeboat.site import Site
from lifeboat.stack import grounds, options, planning, preflight
from lifeboat.stack.planning import SavedPlan
from lifeboat.state_model import StateRoot

STANDARD_INPUT = "-"
# The stack comes last: its objectives are what a report names.
ROOTS = (StateRoot.BACKEND, StateRoot.STACK)
_LOOK_SECONDS = 0.5


class Depth(StrEnum):
    """Who is asked: our own rules alone, or checkov too."""

    NATIVE = "native"
    WHOLE = "whole"


class Ground(StrEnum):
    """What a plan is made against: what stands, unless the environment was never applied, or in any case the files alone."""

    STANDING = "what stands"
    FILES = "the files alone"


@dataclass(frozen=True, kw_only=True)
class Request:
    """How an environment is to be scanned. `reports` is the folder for files; None for the usual one."""

    depth: Depth = Depth.WHOLE
    ground: Ground = Ground.STANDING
    standing: Standing = Standing.BUILT
    reports: Path | None = None


@dataclass(frozen=True, kw_only=True)
class _Tools:
    """What is asked beside our own rules; nothing where they are asked alone."""

    checkov: Checkov | None = None
    built_in: tuple[BuiltIn, ...] = ()


def of_environment(site: Site, tell: Teller, request: Request) -> Report:
    """Plan both roots of an environment, judge them, and write the reports.

    Raises what keeps it from planning and judging; then there are no reports, not even those of an earlier scan. ScanNotValid
    is what would end with 1 elsewhere: of a scan that means findings.
    """
    try:
        return _of_environment(site, tell, request)
    except (Failed, TerraformFailed) as error:
        raise ScanNotValid(error.summary, hint=error.hint) from error
    except OSError as error:
        raise ScanNotValid(
            f"cannot use {error.filename or 'a file'}: {error.strerror or type(error).__name__}"
        ) from error


def _of_environment(site: Site, tell: Teller, request: Request) -> Report:
    folder = request.reports or site.project.root / ".lifeboat" / "scan" / site.project.env
    report_files.remove(folder, NAMES)
    accepted = _waivers(site)
    tools = _tools(site, request.depth)
    preflight.require(site, tell)
    options.require(site)
    with run_files.plan_folder(site.project.work) as private:
        saved, subject, standing = _planned(site, tell, request, private)
        tell.say(f"judging {', '.join(f'{one.root.value} ({len(one.plan.changes)} to change)' for one in saved)}")
        planned = time.monotonic()
        looked = _at_once(partial(_look, site, tools, standing), saved, tell)
    evidence = Evidence(looked=looked, today=datetime.now(UTC).date(), waivers=accepted, built_in=tools.built_in)
    done = report.of(evidence, subject)
    report_files.write(folder, files(done))
    tell.say(f"judged in {time.monotonic() - planned:.1f} s; reports: {folder}/{{{','.join(NAMES)}}}")
    return done


def of_file(name: str, standing: Standing) -> Report:
    """Return what our rules say of the plan in a file, or of the one on standard input."""
    _tidy()
    scan = judging.scanned(reading.read(plan_text(name)), standing=standing)
    source = "standard input" if name == STANDARD_INPUT else Path(name).name
    evidence = Evidence(looked=(Looked(root="", scan=scan, places={}),), today=datetime.now(UTC).date())
    ground = f"The plan in {source}, by lifeboat's own rules"
    return report.of(evidence, Subject(name=source, ground=ground, again=f"lifeboat scan --plan {shlex.quote(name)}"))


def _tidy() -> None:
    """Remove the plans that killed scans left in this checkout, if we are in one: a plan from elsewhere needs none."""
    with suppress(WrongConfiguration):
        run_files.remove_left_plans(config.found_root(Path.cwd()) / ".lifeboat")


def write(done: Report, folder: Path) -> None:
    """Write the reports of a scan into a folder."""
    report_files.remove(folder, NAMES)
    report_files.write(folder, files(done))


def status(done: Report) -> int:
    """Return the exit status: a scan that cannot vouch for everything is not valid, whatever else it found."""
    if done.not_valid:
        return ScanNotValid.exit_status
    return Failed.exit_status if done.failing else DONE


def _planned(
    site: Site, tell: Teller, request: Request, private: Path
) -> tuple[tuple[SavedPlan, ...], Subject, Standing]:
    why = "it was asked for (--offline)" if request.ground is Ground.FILES else _never_applied(site)
    if why is None:
        tell.say(f"planning both roots of {site.project.env} against what stands")
        subject = Subject(
            name=site.project.env,
            ground="A plan of the state backend and of the stack against what stands",
            again=f"lifeboat scan -e {site.project.env}",
        )
        return planning.of_what_stands(site, tell, private), subject, request.standing
    warning = (
        f"OFFLINE: {site.project.env} is planned against an empty state, without asking AWS anything: {why}."
        " This says nothing about what exists; what only the first apply can tell is put off."
    )
    tell.warn(warning)
    subject = Subject(
        name=site.project.env,
        ground="A plan of the state backend and of the stack against nothing, as for a first apply",
        warning=warning,
    )
    return planning.of_files_alone(site, tell, private, ROOTS), subject, Standing.TO_BUILD


def _never_applied(site: Site) -> str | None:
    found = grounds.never_applied(site)
    return None if found is None else found.why


def _at_once(look: Callable[[SavedPlan], Looked], saved: Sequence[SavedPlan], tell: Teller) -> tuple[Looked, ...]:
    """Return what was seen of each plan; interrupted, end the programs that look, which nobody would wait for."""
    with ThreadPoolExecutor(max_workers=len(saved)) as pool:
        looks = [pool.submit(look, one) for one in saved]
        try:
            # A signal that comes as an endless wait begins would be heard of at its end.
            while wait(looks, _LOOK_SECONDS).not_done:
                pass
            return tuple(one.result() for one in looks)
        except KeyboardInterrupt:
            tell.warn("interrupted: ending what judges")
            while not all(one.done() for one in looks):
                programs.end_children()
                time.sleep(0.1)
            raise


def _look(site: Site, tools: _Tools, standing: Standing, saved: SavedPlan) -> Looked:
    stack = saved.root is StateRoot.STACK
    original = site.project.stack_root if stack else site.project.state_root
    text = saved.terraform.shown(saved.file).encode()
    scan = judging.scanned(reading.read(text), standing=standing)
    run: CheckovRun | None = None
    if tools.checkov is not None:
        file = saved.file.with_suffix(".json")
        private_files.write(file, text)
        asked = Asked(
            root=original,
            var_files=tuple(site.project.var_files) if stack else (),
            built_in=built_in.asked(tools.built_in),
            plan=file,
        )
        run = _in_repository(tools.checkov.run(asked), original, site.project.root)
    blocks = written_blocks.written(original, site.project.root)
    places = {block.address: Place(file=block.file, line=block.line) for block in blocks}
    return Looked(root=saved.root.value, scan=scan, places=places, run=run)


def _in_repository(run: CheckovRun, root: Path, repository: Path) -> CheckovRun:
    """Return what checkov said with its files named from the top of the repository, as merge requests name them."""

    def named(file: str) -> str:
        return os.path.relpath((root / file).resolve(), repository.resolve())

    return replace(
        run,
        findings=tuple(replace(one, file=named(one.file)) for one in run.findings),
        skipped=tuple(replace(one, file=named(one.file)) for one in run.skipped),
    )


def _tools(site: Site, depth: Depth) -> _Tools:
    if depth is Depth.NATIVE:
        return _Tools()
    path = site.project.root / "terraform" / "policies" / "builtin.toml"
    if not path.is_file():
        raise ScanNotValid(
            f"the rules of the scan are not there: there is no {path}", hint="git checkout -- terraform/policies"
        )
    return _Tools(checkov=site.checkov(), built_in=built_in.read(path.read_text(encoding="utf-8")))


def _waivers(site: Site) -> tuple[Waiver, ...]:
    path = site.project.root / "environments" / f"{site.project.env}.waivers.toml"
    if not path.exists():
        return ()
    return waivers.read(path.read_text(encoding="utf-8", errors="replace"), f"environments/{path.name}")


def plan_text(name: str) -> bytes:
    """Return the plan in a file, or on standard input; raises ScanNotValid where there is none."""
    if not name:
        raise ScanNotValid("--plan names no file", hint="--plan plan.json, or --plan - for what another program prints")
    try:
        return sys.stdin.buffer.read() if name == STANDARD_INPUT else Path(name).read_bytes()
    except FileNotFoundError:
        raise ScanNotValid(
            f"there is no file {name}", hint="terraform show -json stack.plan > plan.json makes one of a saved plan"
        ) from None
    except IsADirectoryError:
        raise ScanNotValid(f"{name} is a folder; the JSON of a plan is wanted") from None
    except OSError as error:
        # Anywhere else this ends with 1, which says of a scan that it found something.
        raise ScanNotValid(
            f"cannot read {name}: {error.strerror or type(error).__name__}",
            hint="terraform show -json stack.plan > plan.json makes a plan that can be read",
        ) from None
