"""`python -m localcloud serve …`: run one local cloud in the foreground until SIGTERM."""

from __future__ import annotations

import argparse
import errno
import gc
import logging
import os
import re
import signal
import sys
import threading
import time
from functools import cache, partial
from pathlib import Path
from typing import Any

# moto reads these at import: without the first, no AWS managed policy can be attached to a role.
os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"] = "true"
os.environ.setdefault("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
# What the cloud's own boto3 clients must not pick up from the caller.
for _name in ("AWS_PROFILE", "AWS_CA_BUNDLE", "AWS_ENDPOINT_URL"):
    os.environ.pop(_name, None)

PORT_TAKEN = 8
STOP_SECONDS = 0.1  # within which a signal or a stop request is acted on
GITLAB_PATH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)+")


def main() -> int:
    """Serve until SIGTERM or a stop request; returns 0, or 8 when the port (HTTP's or DNS's) is taken."""
    parser = argparse.ArgumentParser(prog="localcloud", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="run a local cloud in the foreground")
    serve.add_argument("--directory", type=Path, required=True, help="folder of its state, made when missing")
    serve.add_argument("--port", type=int, default=4566, help="port on 127.0.0.1")
    serve.add_argument("--network", default="127.77", help="first two numbers of its loopback network")
    serve.add_argument("--repository", type=Path, help="checkout whose .gitlab-ci.yml the local GitLab runs")
    serve.add_argument("--gitlab-project", help="path of its project there; demo/app unless it was said before")
    options = parser.parse_args()

    gc.disable()  # nothing that is loaded now is ever garbage: looking for it takes a fifth of the start
    from waitress.server import create_server

    _read_once()
    from localcloud import services
    from localcloud.cloud import Cloud
    from localcloud.control import Control
    from localcloud.front import Front
    from localcloud.gitlab.server import GitLab
    from localcloud.name_server import NameServer
    from localcloud.services import route53
    from localcloud.web import Channel

    repository = options.repository.resolve() if options.repository else None
    if repository is not None and not repository.is_dir():
        parser.error(f"--repository {repository} is no folder")
    if options.gitlab_project is not None and not GITLAB_PATH.fullmatch(options.gitlab_project):
        parser.error(f"--gitlab-project {options.gitlab_project} is no path of a project: write group/project")
    directory = options.directory.resolve()
    logs = directory / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(
        filename=logs / "localcloud.log", level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    for quiet in ("waitress.queue", "botocore", "werkzeug", "urllib3", "boto3"):
        logging.getLogger(quiet).setLevel(logging.ERROR)

    endpoint = f"http://127.0.0.1:{options.port}"
    cloud = Cloud(directory=directory, endpoint=endpoint, network=options.network, checkout=repository)
    stopped = threading.Event()
    control = Control(cloud, stopped.set)
    services.install(cloud)
    gitlab = control.gitlab = GitLab(cloud, repository=repository, project=options.gitlab_project)
    gitlab.install()
    address = "127.0.0.1"
    server = names = None
    try:
        server = create_server(
            Front(cloud, control, gitlab),
            host=address,
            port=options.port,
            threads=48,
            ident=None,
            clear_untrusted_proxy_headers=True,
        )
        address = cloud.name_server[0]
        names = NameServer(cloud.name_server, partial(route53.reply, cloud))
    except OSError as error:
        if server is not None:
            server.close()
        if error.errno != errno.EADDRINUSE:
            raise
        print(f"port {options.port} on {address} is taken by another program", file=sys.stderr)
        return PORT_TAKEN
    server.channel_class = Channel
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    signal.signal(signal.SIGINT, lambda *_: stopped.set())
    # `health` answers from the start; requests wait for the state, also those of programs that come up with it.
    with cloud.gate.alone():
        threading.Thread(target=server.run, name="server", daemon=True).start()
        names.start()
        found = control.open()
    gc.freeze()
    gc.enable()
    print(f"localcloud: {found}; listening on {cloud.endpoint}", flush=True)
    saver = threading.Thread(target=control.keep_saving, name="saver", daemon=True)
    saver.start()
    # A signal may reach another thread, which only notes it: the main thread must wake up to act on it. Nor may it wait
    # on the event, whose lock it would then hold beneath a handler that sets it.
    while not stopped.is_set():
        time.sleep(STOP_SECONDS)
    cloud.stopping.set()
    names.close()  # its place is free by the time the endpoint's port is, so the next cloud on it finds both
    saver.join(10)
    try:
        control.close()
    except Exception:
        logging.exception("the state was not written at the end; the next start continues from the write before")
        return 1
    finally:
        server.close()
    return 0


def _read_once() -> None:
    """Keep what the SDK and moto find out over and over: the models, the list of services, their methods, whose a host is.

    moto makes a session of its own for each list of regions, and for each request looks at 150 folders and tries the
    patterns of all services on a host until one fits.
    """
    from botocore.loaders import JSONFileLoader
    from moto import backends
    from moto.core import responses
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication

    original, loader = JSONFileLoader.load_file, JSONFileLoader()
    parsed: Any = cache(lambda path: original(loader, path))

    def load_file(_self: JSONFileLoader, file_path: str) -> Any:
        return parsed(file_path)

    JSONFileLoader.load_file = load_file  # type: ignore[assignment,method-assign]
    services = tuple(backends.list_of_moto_modules())
    backends.list_of_moto_modules = lambda: services
    responses.method_names_from_class = cache(responses.method_names_from_class)
    DomainDispatcherApplication.get_backend_for_host = cache(DomainDispatcherApplication.get_backend_for_host)


if __name__ == "__main__":
    status = main()
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # all is written and closed: freeing a million objects one by one takes longer than the shutdown
