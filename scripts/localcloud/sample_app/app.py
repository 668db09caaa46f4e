"""The sample application: a page of notes from its database, its health and its version."""

from __future__ import annotations

import html
import json
import logging
import os
import threading
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from .database import Database, NotReady

ADDRESS = os.environ.get("LISTEN_ADDRESS", "0.0.0.0")  # noqa: S104 - inside a container
PORT = int(os.environ.get("PORT", "8080"))
VERSION = os.environ.get("APP_VERSION", "0")
IMAGE = os.environ.get("APP_IMAGE", f"app:{VERSION}")
REGION = os.environ.get("AWS_REGION", "eu-west-1")
METADATA = os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://169.254.169.254").rstrip("/")
NOTES_SHOWN = 10
NOTE_CHARACTERS = 1000


def instance_id() -> str | None:
    """Return the id of the instance that we run on, None where nobody says."""
    try:
        asked = urllib.request.Request(
            f"{METADATA}/latest/api/token", method="PUT", headers={"X-aws-ec2-metadata-token-ttl-seconds": "60"}
        )
        with urllib.request.urlopen(asked, timeout=2) as answer:
            token = answer.read().decode()
        asked = urllib.request.Request(
            f"{METADATA}/latest/meta-data/instance-id", headers={"X-aws-ec2-metadata-token": token}
        )
        with urllib.request.urlopen(asked, timeout=2) as answer:
            return str(answer.read().decode())
    except OSError:
        return None


def application() -> Starlette:
    """Return the web application; it starts to look for its database at once and answers meanwhile."""
    database = Database(secret_name=os.environ["APP_SECRET_NAME"], region=REGION)
    stopping = threading.Event()
    about: dict[str, Any] = {"image": IMAGE, "version": VERSION, "instance_id": None}

    @asynccontextmanager
    async def life(_app: Starlette) -> AsyncIterator[None]:
        about["instance_id"] = instance_id()
        threading.Thread(target=database.keep_trying, args=(stopping,), daemon=True).start()
        yield
        stopping.set()

    def not_ready(_request: Request, reason: Exception) -> Response:
        return JSONResponse({"status": "waiting", "waits_for": str(reason), **about}, status_code=503)

    def notes(request: Request) -> Response:
        rows, total = database.asked(
            lambda connection: (
                connection.execute(
                    "SELECT id, text, written_at FROM notes ORDER BY id LIMIT %s", (NOTES_SHOWN,)
                ).fetchall(),
                (connection.execute("SELECT count(*) AS rows FROM notes").fetchone() or {})["rows"],
            )
        )
        shown = [{**row, "written_at": row["written_at"].isoformat()} for row in rows]
        page = {"notes": shown, "notes_total": total, "database_generation": database.generation, **about}
        if "text/html" not in request.headers.get("accept", ""):
            return JSONResponse(page)
        items = "".join(f"<li>{html.escape(row['text'])}</li>" for row in shown)
        return HTMLResponse(
            f"<!doctype html><title>Notes</title><h1>Notes ({total})</h1><ol>{items}</ol>"
            f"<p>{html.escape(IMAGE)} on {html.escape(str(about['instance_id']))}, "
            f"database {html.escape(str(database.generation))}</p>"
        )

    def written(text: str) -> dict[str, Any]:
        statement = "INSERT INTO notes (text) VALUES (%s) RETURNING id"
        row = database.asked(lambda connection: connection.execute(statement, (text,)).fetchone())
        return row or {}

    async def write(request: Request) -> Response:
        text = note(await request.body())
        if text is None:
            why = f'wanted: {{"text": ...}} of 1 to {NOTE_CHARACTERS} characters'
            return JSONResponse({"status": "wrong", "why": why}, status_code=422)
        return JSONResponse(await run_in_threadpool(written, text), status_code=201)

    def health(_request: Request) -> Response:
        database.asked(lambda connection: connection.execute("SELECT 1").fetchone())
        return JSONResponse({"status": "ok", "database_generation": database.generation, **about})

    def version(_request: Request) -> Response:
        return JSONResponse({"version": VERSION, "image": IMAGE})

    return Starlette(
        routes=[
            Route("/", notes),
            Route("/notes", write, methods=["POST"]),
            Route("/healthz", health),
            Route("/version", version),
        ],
        exception_handlers={NotReady: not_ready},
        lifespan=life,
    )


def note(body: bytes) -> str | None:
    """Return the text of a note that somebody sent; None where it is none."""
    try:
        text = json.loads(body)["text"]
    except (ValueError, TypeError, KeyError):
        return None
    return text if isinstance(text, str) and 1 <= len(text) <= NOTE_CHARACTERS else None


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    logging.getLogger("botocore").setLevel(logging.WARNING)
    uvicorn.run(application(), host=ADDRESS, port=PORT, log_level="warning", timeout_graceful_shutdown=3)
