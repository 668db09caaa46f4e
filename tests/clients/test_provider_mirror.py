"""Where Terraform takes its provider from."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from lifeboat.clients import provider_mirror
from lifeboat.errors import WrongConfiguration


def mirror(tmp_path: Path) -> Path:
    (tmp_path / "mirror" / provider_mirror.PROVIDER).mkdir(parents=True)
    return tmp_path / "mirror"


def test_a_named_mirror_is_used_alone(tmp_path: Path) -> None:
    named = mirror(tmp_path)

    path = provider_mirror.configuration(tmp_path / "work", {"TF_PLUGIN_MIRROR": str(named)})

    assert path is not None
    assert f'path    = "{named}"' in path.read_text()


def test_a_named_mirror_without_the_provider_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WrongConfiguration, match="there is no registry.terraform.io/hashicorp/aws in it"):
        provider_mirror.found({"TF_PLUGIN_MIRROR": str(tmp_path)})


def test_the_operators_own_configuration_stays_in_force(tmp_path: Path) -> None:
    own = tmp_path / "terraformrc"
    own.write_text("")

    assert provider_mirror.configuration(tmp_path / "work", {"TF_CLI_CONFIG_FILE": str(own)}) is None


def test_a_configuration_that_does_not_exist_is_replaced_by_ours(tmp_path: Path) -> None:
    env = {"TF_CLI_CONFIG_FILE": str(tmp_path / "gone"), "TF_PLUGIN_MIRROR": str(mirror(tmp_path))}

    assert provider_mirror.configuration(tmp_path / "work", env) == tmp_path / "work" / "terraformrc"


def test_many_at_once_write_it_and_each_finds_it(tmp_path: Path) -> None:
    named = [tmp_path / name for name in ("one", "other")]
    for folder in named:
        (folder / provider_mirror.PROVIDER).mkdir(parents=True)

    def written(count: int) -> Path | None:
        return provider_mirror.configuration(tmp_path / "work", {"TF_PLUGIN_MIRROR": str(named[count % 2])})

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(written, range(200))) == {tmp_path / "work" / "terraformrc"}

    assert [path.name for path in (tmp_path / "work").iterdir()] == ["terraformrc"]


def test_a_mirror_two_folders_below_is_found_and_nothing_of_the_kernels(tmp_path: Path) -> None:
    for folder in ("opt/b", "opt/a", "proc/1", "sys/1", "dev/1", "opt/deep/er", "."):
        (tmp_path / folder / provider_mirror.PROVIDER).mkdir(parents=True)
    (tmp_path / "opt" / "empty").mkdir()
    (tmp_path / "file").write_text("no folder")
    (tmp_path / "loop").symlink_to("loop")

    assert provider_mirror.unpacked(tmp_path) == [tmp_path / "opt" / "a", tmp_path / "opt" / "b"]


def test_a_folder_that_is_not_there_holds_no_mirror(tmp_path: Path) -> None:
    assert provider_mirror.unpacked(tmp_path / "gone") == []
