"""Where Terraform takes its provider from: a mirror on this machine when there is one, else the registry."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from lifeboat.clients import private_files
from lifeboat.errors import WrongConfiguration

PROVIDER = Path("registry.terraform.io/hashicorp/aws")
# Terraform's own implied mirrors, then any unpacked mirror two folders below the root of the file system.
_USUAL = ("~/.terraform.d/plugins", "/usr/local/share/terraform/plugins", "/usr/share/terraform/plugins")

# A process that ends while its folder is looked into fails the look.
_KERNELS = {"dev", "proc", "sys"}


def found(env: Mapping[str, str]) -> Path | None:
    """Return the folder of a mirror that holds the provider: TF_PLUGIN_MIRROR, else one found; None for the registry.

    Raises WrongConfiguration when TF_PLUGIN_MIRROR names a folder without the provider.
    """
    named = env.get("TF_PLUGIN_MIRROR")
    if named:
        if (Path(named) / PROVIDER).is_dir():
            return Path(named).resolve()
        raise WrongConfiguration(
            f"TF_PLUGIN_MIRROR is {named}, and there is no {PROVIDER} in it",
            hint="name the folder above registry.terraform.io, or unset TF_PLUGIN_MIRROR to use the registry",
        )
    usual = [Path(folder).expanduser() for folder in _USUAL]
    return next((folder for folder in (*usual, *unpacked(Path("/"))) if _holds(folder)), None)


def unpacked(root: Path) -> list[Path]:
    """Return the folders two below a root that hold the provider, sorted; what cannot be looked into holds none."""
    tops = (top for top in _within(root) if top.name not in _KERNELS)
    return sorted(folder for top in tops for folder in _within(top) if _holds(folder))


def _within(folder: Path) -> list[Path]:
    with suppress(OSError):
        return list(folder.iterdir())
    return []


def _holds(folder: Path) -> bool:
    with suppress(OSError):
        return (folder / PROVIDER).is_dir()
    return False


def configuration(folder: Path, env: Mapping[str, str]) -> Path | None:
    """Return the CLI configuration that Terraform should use, written to `folder` when it is ours.

    A configuration of the operator's own (TF_CLI_CONFIG_FILE naming a file that exists) is left in force: None.
    """
    own = env.get("TF_CLI_CONFIG_FILE")
    if own and Path(own).is_file() and not env.get("TF_PLUGIN_MIRROR"):
        return None
    mirror = found(env)
    path = folder / "terraformrc"
    if mirror is None:
        text = "provider_installation {\n  direct {}\n}\n"
    else:
        text = (
            "provider_installation {\n"
            f'  filesystem_mirror {{\n    path    = "{mirror}"\n    include = ["registry.terraform.io/hashicorp/aws"]\n  }}\n'
            '  direct {\n    exclude = ["registry.terraform.io/hashicorp/aws"]\n  }\n}\n'
        )
    folder.mkdir(parents=True, exist_ok=True)
    # Several commands may run at once, and both roots in one: a file that is being replaced is never read half-written.
    if not path.is_file() or path.read_text() != text:
        private_files.write(path, text.encode())
    return path
