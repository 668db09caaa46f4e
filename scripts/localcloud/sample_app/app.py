"""The sample application: a page of notes from its database, its health and its version."""

from __future__ import annotations

import html
import logging
import os
import threading
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from fastapi import Body, FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response

from .database import Database, NotReady

ADDRESS = os.environ.get("LISTEN_ADDRESS", "0.0.0.0")  # noqa: S104 - inside a container
PORT = int(os.environ.get("PORT", "8080"))
VERSION = os.environ.get("APP_VERSION", "0")
IMAGE = os.environ.get("APP_IMAGE", f"app:{VERSION}")
REGION = os.environ.get("AWS_REGION", "eu-west-1")
METADATA = os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://169.254.169.254").rstrip("/")
NOTES_SHOWN = 10


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


def application() -> FastAPI:
    """Return the web application; it starts to look for its database at once and answers meanwhile."""
    database = Database(secret_name=os.environ["APP_SECRET_NAME"], region=REGION)
    stopping = threading.Event()
    about: dict[str, Any] = {"image": IMAGE, "version": VERSION, "instance_id": None}

    @asynccontextmanager
    async def life(_app: FastAPI) -> AsyncIterator[None]:
        about["instance_id"] = instance_id()
        threading.Thread(target=database.keep_trying, args=(stopping,), daemon=True).start()
        yield
        stopping.set()

    app = FastAPI(title="sample application", lifespan=life)

    @app.exception_handler(NotReady)
    def not_ready(_request: Request, reason: NotReady) -> JSONResponse:
        return JSONResponse({"status": "waiting", "waits_for": str(reason), **about}, status_code=503)

    @app.get("/")
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

    @app.post("/notes", status_code=201)
    def write(text: str = Body(embed=True, min_length=1, max_length=1000)) -> dict[str, Any]:
        statement = "INSERT INTO notes (text) VALUES (%s) RETURNING id"
        row = database.asked(lambda connection: connection.execute(statement, (text,)).fetchone())
        return row or {}

    @app.get("/healthz")
    def health() -> dict[str, Any]:
        database.asked(lambda connection: connection.execute("SELECT 1").fetchone())
        return {"status": "ok", "database_generation": database.generation, **about}

    @app.get("/version")
    def version() -> dict[str, Any]:
        return {"version": VERSION, "image": IMAGE}

    return app


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    logging.getLogger("botocore").setLevel(logging.WARNING)
    uvicorn.run(application(), host=ADDRESS, port=PORT, log_level="warning", timeout_graceful_shutdown=3)
