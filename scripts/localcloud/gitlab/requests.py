"""One request to the API: its path, its parameters as Grape reads them, and the answers that GitLab gives."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote_plus, urlencode

from localcloud.operations import Answer

if TYPE_CHECKING:
    from localcloud.gitlab.records import Record, Records
    from localcloud.gitlab.server import GitLab

PREFIX = "/_gitlab"
API = f"{PREFIX}/api/v4"
# lib/api/pagination_params.rb and config/initializers/kaminari_config.rb
PAGE_DEFAULT, PAGE_MAXIMUM = 20, 100
# lib/gitlab/pagination/offset_pagination.rb leaves the totals out above this
COUNTED_TO = 10000
_PART = re.compile(r"\[([^\]]*)\]")
_TRUE, _FALSE = ("true", "t", "1", "on", "yes"), ("false", "f", "0", "off", "no")


class ApiError(Exception):
    """GitLab would answer this error."""

    def __init__(self, status: int, body: object, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{status}: {body}")
        self.status = status
        self.body = body
        self.headers = dict(headers or {})


def message(status: int, text: object) -> ApiError:
    """Return an error of the application (lib/api/helpers.rb, render_api_error!)."""
    return ApiError(status, {"message": text})


def error(status: int, text: str) -> ApiError:
    """Return an error of Grape, which says `error` where the application says `message`."""
    return ApiError(status, {"error": text})


def bad_request(reason: str) -> ApiError:
    """lib/api/helpers.rb, bad_request!."""
    return message(400, f"400 Bad request - {reason}")


def unauthorized() -> ApiError:
    """lib/api/helpers.rb, unauthorized!."""
    return message(401, "401 Unauthorized")


def forbidden(reason: str | None = None) -> ApiError:
    """lib/api/helpers.rb, forbidden!."""
    return message(403, f"403 Forbidden - {reason}" if reason else "403 Forbidden")


def not_found(resource: str | None = None) -> ApiError:
    """lib/api/helpers.rb, not_found!; without a resource: ActiveRecord::RecordNotFound, rescued in lib/api/api.rb."""
    return message(404, f"404 {resource} Not Found" if resource else "404 Not found")


def invalid(**reasons: list[str]) -> ApiError:
    """lib/api/helpers.rb, render_validation_error!."""
    return message(400, reasons)


@dataclass(frozen=True, kw_only=True)
class Declared:
    """One parameter of an endpoint: text, flag, number, date, list, hash, or one of `values`."""

    kind: str = "text"
    required: bool = False
    values: tuple[str, ...] = ()


TEXT, FLAG, NUMBER, DATE = Declared(), Declared(kind="flag"), Declared(kind="number"), Declared(kind="date")
LIST, HASH = Declared(kind="list"), Declared(kind="hash")


def needed(declared: Declared) -> Declared:
    """Return the same parameter, required."""
    return replace(declared, required=True)


def one_of(*values: str) -> Declared:
    """Return a text parameter that takes these values alone."""
    return Declared(values=values)


@dataclass
class Request:
    """One authenticated request."""

    gitlab: GitLab
    method: str
    segments: list[str]
    given: dict[str, Any]
    base: str
    names: dict[str, str] = field(default_factory=dict)
    user: Record | None = None
    token: Record | None = None

    @property
    def records(self) -> Records:
        """Return what this GitLab remembers."""
        return self.gitlab.records

    @property
    def caller(self) -> Record:
        """Return who asks; 401 for nobody (lib/api/helpers.rb, authenticate!)."""
        if self.user is None:
            raise unauthorized()
        return self.user

    def declared(self, **declared: Declared) -> dict[str, Any]:
        """Return the given ones of these parameters, coerced; all mistakes are told at once, as Grape does."""
        wrong: list[str] = []
        taken: dict[str, Any] = {}
        for name, wanted in declared.items():
            if name not in self.given:
                if wanted.required:
                    wrong.append(f"{name} is missing")
                continue
            try:
                value = _coerced(self.given[name], wanted.kind)
            except ValueError:
                wrong.append(f"{name} is invalid")
                continue
            if wanted.values and value not in wanted.values:
                wrong.append(f"{name} does not have a valid value")
            taken[name] = value
        if wrong:
            raise error(400, ", ".join(wrong))
        return taken

    def number(self, name: str) -> int:
        """Return a number of the path; what is none was never the id of anything."""
        if not self.names[name].isdigit():
            raise error(400, f"{name} is invalid")
        return int(self.names[name])


def read_parameters(query: str, content_type: str, body: bytes) -> dict[str, Any]:
    """Return query and body as one nested hash, as Rack does; 400 for a body that is not what it says."""
    given = _nested(parse_qsl(query, keep_blank_values=True))
    if not body.strip():
        return given
    if content_type.startswith("application/json"):
        try:
            document = json.loads(body)
        except ValueError:
            # grape/locale/en.yml, invalid_message_body
            raise error(400, "message body does not match declared format") from None
        if not isinstance(document, dict):
            raise error(400, "message body does not match declared format")
        return given | document
    if content_type.startswith("application/x-www-form-urlencoded") or not content_type:
        pairs = parse_qsl(body.decode(errors="replace"), keep_blank_values=True)
        return given | _nested(pairs)
    raise error(406, "The requested content-type is not supported.")


def _nested(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """Read `a[b]=1`, `a[]=1` and `a[][b]=1`."""
    root: dict[str, Any] = {}
    for name, value in pairs:
        head, parts = name.split("[", 1)[0], _PART.findall(name)
        if not parts:
            root[head] = value
        elif parts == [""]:
            found = root.setdefault(head, [])
            if isinstance(found, list):
                found.append(value)
        elif parts[0] == "" and len(parts) == 2:
            found = root.setdefault(head, [])
            if isinstance(found, list):
                if not found or not isinstance(found[-1], dict) or parts[1] in found[-1]:
                    found.append({})
                found[-1][parts[1]] = value
        else:
            place = root
            for part in [head, *parts][:-1]:
                inner = place.setdefault(part, {})
                if not isinstance(inner, dict):
                    raise error(400, f"{head} is invalid")
                place = inner
            place[parts[-1]] = value
    return root


def _coerced(value: Any, kind: str) -> Any:
    if kind == "text":
        if isinstance(value, dict | list):
            raise ValueError
        return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    if kind == "flag":
        if isinstance(value, bool) or value is None:
            return bool(value)
        if str(value).lower() in _TRUE:
            return True
        if str(value).lower() in _FALSE:
            return False
        raise ValueError
    if kind == "number":
        if isinstance(value, bool):
            raise ValueError
        return int(str(value))
    if kind == "date":
        return date.fromisoformat(str(value))
    if kind == "list":
        return _listed(value)
    if not isinstance(value, dict):
        raise ValueError
    return value


def _listed(value: Any) -> list[Any]:
    if isinstance(value, dict):  # Rails also sends arrays as {"0": …, "1": …}
        return list(value.values())
    if isinstance(value, str):
        return [part for part in value.split(",") if part]
    if not isinstance(value, list):
        raise ValueError
    return value


# -- answers -----------------------------------------------------------------------------------------------------------


def answer(document: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """Return a JSON answer."""
    return Answer(
        status, [("Content-Type", "application/json"), *(headers or {}).items()], json.dumps(document).encode()
    )


def nothing() -> Answer:
    """Return 204 (lib/api/helpers.rb, no_content!)."""
    return Answer(204, [], b"")


def page(request: Request, shown: list[Any]) -> Answer:
    """Return one page of a list with the headers of lib/gitlab/pagination/offset_header_builder.rb."""
    part, headers, links = _page(request, shown)
    if len(shown) <= COUNTED_TO:
        last = int(headers.pop("last"))
        headers |= {"X-Total": str(len(shown)), "X-Total-Pages": str(last)}
        links.append(("last", last))
    return _paged(request, part, headers, links)


def uncounted_page(request: Request, shown: list[Any]) -> Answer:
    """Return one page of a list that GitLab does not count (paginate_with_strategies, without_count: true)."""
    return _paged(request, *_page(request, shown))


def _page(request: Request, shown: list[Any]) -> tuple[list[Any], dict[str, str], list[tuple[str, int | None]]]:
    taken = request.declared(page=NUMBER, per_page=NUMBER)
    number, size = taken.get("page", 1), taken.get("per_page", PAGE_DEFAULT)
    if size < 1:
        raise error(400, "per_page has a value not allowed")
    number, size = max(number, 1), min(size, PAGE_MAXIMUM)
    part = shown[(number - 1) * size : number * size]
    last = max(1, -(-len(shown) // size))
    following = number + 1 if number < last else None
    previous = number - 1 if 1 < number <= last + 1 else None
    links: list[tuple[str, int | None]] = [("prev", previous), ("next", following), ("first", 1)]
    headers = {
        "X-Per-Page": str(size),
        "X-Page": str(number),
        "X-Next-Page": str(following or ""),
        "X-Prev-Page": str(previous or ""),
        "last": str(last),
    }
    return part, headers, links


def _paged(request: Request, part: list[Any], headers: dict[str, str], links: list[tuple[str, int | None]]) -> Answer:
    size = int(headers["X-Per-Page"])
    link = ", ".join(f'<{_href(request, n, size)}>; rel="{rel}"' for rel, n in links if n)
    return answer(part, 200, {name: value for name, value in headers.items() if name != "last"} | {"Link": link})


def _href(request: Request, number: int, size: int) -> str:
    flat = _flat({**request.given, "page": number, "per_page": size})
    path = "/".join(segment.replace("/", "%2F") for segment in request.segments)
    return f"{request.base}/{path}?{urlencode(flat)}"


def _flat(value: Any, name: str = "") -> list[tuple[str, str]]:
    if isinstance(value, dict):
        return [p for key, inner in value.items() for p in _flat(inner, f"{name}[{key}]" if name else str(key))]
    if isinstance(value, list):
        return [p for inner in value for p in _flat(inner, f"{name}[]")]
    return [(name, str(value))]


def moment(value: datetime | None) -> str | None:
    """Write a time as GitLab does: UTC with milliseconds."""
    return None if value is None else value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def decoded(path: str) -> list[str]:
    """Return the parts of a raw path; an encoded slash stays within its part."""
    return [unquote_plus(part.replace("+", "%2B")) for part in path.strip("/").split("/")]
