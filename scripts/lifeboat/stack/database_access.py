"""The database's address with its password, composed from the database's own secret at the moment of use."""

from __future__ import annotations

from lifeboat.decisions import database_urls
from lifeboat.model import Recovery, Secret
from lifeboat.site import Site


def database_url(site: Site, recovery: Recovery) -> Secret:
    """Return the address that a client connects with; it is in no file, and must get into none."""
    store, secret = site.secrets(recovery.region), recovery.database.password_secret_arn
    user = store.entry(secret, "username")
    return database_urls.database_url(recovery.database, user.reveal(), store.entry(secret, "password"))
