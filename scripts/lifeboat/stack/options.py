"""That every option of an environment's inputs is one that a variable has."""

from __future__ import annotations

from lifeboat.clients import input_values
from lifeboat.decisions import options
from lifeboat.errors import WrongConfiguration
from lifeboat.site import Site


def require(site: Site) -> None:
    """Raise WrongConfiguration naming each option of the inputs that no variable has.

    Terraform takes such an object without a word, and the default in the option's place. A recovery does not ask: it brings
    back what there was, with the inputs that there were.
    """
    project = site.project
    found = input_values.read(project.stack_root, project.var_files, site.variables(teardown=False))
    unknown = () if found is None else options.unknown(found.written, found.taken)
    if unknown:
        lines = "\n".join(f"  {one.words}" for one in unknown)
        files = " and ".join(f"environments/{path.name}" for path in project.var_files)
        raise WrongConfiguration(
            f"the environment's inputs are refused:\n{lines}",
            hint=f"edit {files}: terraform/stack/variables.tf has every option",
        )
