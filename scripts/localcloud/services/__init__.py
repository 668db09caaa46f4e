"""One file for each AWS service that moto lacks or gets wrong; importing this package registers them all."""

from __future__ import annotations

import importlib
import pkgutil

from localcloud.cloud import Cloud


def install(cloud: Cloud) -> None:
    """Import every service and let those that hook into moto or the cloud's life do so (`install(cloud)`)."""
    for found in sorted(pkgutil.iter_modules(__path__), key=lambda module: module.name):
        module = importlib.import_module(f"{__name__}.{found.name}")
        hook = getattr(module, "install", None)
        if hook is not None:
            hook(cloud)
