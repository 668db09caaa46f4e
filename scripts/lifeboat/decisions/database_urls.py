"""The address of a database with user and password in it: composed when it is used, and kept nowhere."""

from __future__ import annotations

from lifeboat.model import Database, Secret

# RFC 3986: everything else is written as %XX of its UTF-8 bytes.
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


def database_url(database: Database, user: str, password: Secret) -> Secret:
    """Return a PostgreSQL connection URI (PostgreSQL manual, 34.1.1) that insists on TLS."""
    access = f"{_quoted(user)}:{_quoted(password.reveal())}"
    return Secret(f"postgresql://{access}@{database.address}:{database.port}/{_quoted(database.name)}?sslmode=require")


def _quoted(text: str) -> str:
    return "".join(chr(byte) if byte in _UNRESERVED else f"%{byte:02X}" for byte in text.encode())
