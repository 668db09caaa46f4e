"""The roots of Terraform that checkov has read: which they are, and what stands in their files before checkov renders it.

checkov's rendered values are not used: it takes the whole of an object for an attribute that it lacks, evaluates the text
"each.value", and knows no defaults of optional attributes. Its parser is right, and so are its files of variables.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import hcl2
import lb_checkout  # noqa: F401 (before what it finds)
from lifeboat.decisions.policy import configuration
from lifeboat.decisions.policy.configuration import Module

Node = Mapping[str, Any]
_KINDS = frozenset({"resource", "data", "variable", "locals", "module", "provider", "output", "terraform"})


class Roots:
    """The root folders of one graph, and which of them each resource belongs to."""

    def __init__(self, graph: Any) -> None:
        self._nodes: list[Node] = [node for _, node in graph.nodes()]
        self.folders = sorted({_folder(node) for node in self._nodes if _is_of_root(node)})
        self._read: dict[Path, Module] = {}
        self._of: dict[tuple[str, str], set[Path]] = {}
        for node in self._nodes:
            if node["block_type_"] == "resource":
                place = (str(node["__address__"]), Path(node["file_path_"]).name)
                self._of.setdefault(place, set()).add(_root_of(node))

    def of(self, address: str, file: str) -> set[Path]:
        """Return the roots that have a resource of this address in a file of this name: one, but for roots that are alike."""
        return self._of.get((address, file), set())

    def module(self, folder: Path) -> Module:
        """Return a folder as it is written, with the modules in folders of their own that it calls."""
        return self._module(folder, ())

    def values(self, folder: Path) -> dict[str, Any]:
        """Return what the variables of a root are given, as the parser gives it: by files of variables and the environment."""
        found: dict[str, Any] = {}
        for node in self._nodes:
            if node["block_type_"] == "tfvar":
                name = str(node["block_name_"])
                body = node["config_"][name]
                if Path(body.get("load_dir", folder)).resolve() == folder:
                    found[name] = self._value(name, str(node["file_path_"]), body)
        return found

    def _value(self, name: str, file: str, body: Mapping[str, Any]) -> Any:
        if file.endswith(".tfvars"):
            return configuration.only(_parsed(Path(file)), name)
        if file.endswith(".json"):
            return _as_written(json.loads(Path(file).read_text(encoding="utf-8"))[name])
        return _as_written(configuration.only(body, "default"))  # of the environment: TF_VAR_name

    def _module(self, folder: Path, callers: tuple[Path, ...]) -> Module:
        if folder in callers:
            return Module(whole=False)  # Terraform refuses a module that calls itself
        if folder not in self._read:
            self._read[folder] = configuration.module(
                (_parsed(path) for path in sorted(folder.glob("*.tf"))),
                lambda source: self._called(folder, source, (*callers, folder)),
                whole=not any(_is_unread(path.name) for path in folder.iterdir()),
            )
        return self._read[folder]

    def _called(self, folder: Path, source: str, callers: tuple[Path, ...]) -> Module | None:
        if not source.startswith(("./", "../")):
            return None
        path = (folder / source).resolve()
        return self._module(path, callers) if path.is_dir() else None


def _as_written(value: Any) -> Any:
    """Return a value that is no HCL as the parser would give it: with the escapes in its texts."""
    if isinstance(value, str):
        return value.replace("\\", "\\\\").replace('"', '\\"')
    if isinstance(value, list):
        return [_as_written(one) for one in value]
    return {name: _as_written(one) for name, one in value.items()} if isinstance(value, dict) else value


def _is_unread(name: str) -> bool:
    return name.endswith((".tf.json", "_override.tf")) or name == "override.tf"


def _parsed(path: Path) -> Mapping[str, Any]:
    # As checkov opens it: a byte order mark is no letter.
    found: Mapping[str, Any] = hcl2.loads(path.read_text(encoding="utf-8-sig"))
    return found


def _folder(node: Node) -> Path:
    return Path(node["file_path_"]).resolve().parent


def _is_of_root(node: Node) -> bool:
    return node["block_type_"] in _KINDS and not node.get("source_module_object_")


def _root_of(node: Node) -> Path:
    callers = list(_callers(node.get("source_module_object_")))
    return Path(callers[-1]).resolve().parent if callers else _folder(node)


def _callers(found: Any) -> Iterator[str]:
    """Yield the files that call the module which a resource stands in, the innermost first."""
    while found:
        is_document = isinstance(found, Mapping)
        yield str(found["path"] if is_document else found.path)
        found = found.get("nested_tf_module") if is_document else found.nested_tf_module
