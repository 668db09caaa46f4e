"""Where resources are written: in the root and its modules, by the address of the block."""

from __future__ import annotations

from pathlib import Path

from lifeboat.clients import written_blocks
from lifeboat.clients.written_blocks import WrittenBlock

from tests.rehearsal import ROOT


def test_blocks_of_a_root_and_of_its_modules_are_found(tmp_path: Path) -> None:
    root, inner = tmp_path / "terraform" / "stack", tmp_path / "modules" / "database"
    for folder in (root, inner):
        folder.mkdir(parents=True)
    (root / "main.tf").write_text(
        'module "database" {\n  for_each = var.all\n  source   = "../../modules/database"\n}\n\ncheck "kept" {\n}\n'
        'module "far" {\n  source = "example/far/aws"\n}\n'
    )
    (inner / "main.tf").write_text('# first\nresource "aws_db_instance" "this" {\n}\n')

    assert written_blocks.written(root, tmp_path) == (
        WrittenBlock(address="module.database.aws_db_instance.this", file="modules/database/main.tf", line=2),
        WrittenBlock(address="check.kept", file="terraform/stack/main.tf", line=6),
    )


def test_a_module_that_calls_itself_and_a_folder_that_is_not_there_end(tmp_path: Path) -> None:
    (tmp_path / "main.tf").write_text('module "again" {\n  source = "./"\n}\nresource "aws_kms_key" "this" {\n')

    assert [one.address for one in written_blocks.written(tmp_path, tmp_path)] == ["aws_kms_key.this"]
    assert written_blocks.written(tmp_path / "nowhere", tmp_path) == ()


def test_every_resource_of_both_roots_has_a_place() -> None:
    for root in ("stack", "state"):
        found = written_blocks.written(ROOT / "terraform" / root, ROOT)

        assert len(found) > 10
        for one in found:
            kind, _, name = one.address.removeprefix("module.").rpartition(".")
            line = (ROOT / one.file).read_text().splitlines()[one.line - 1]
            assert name in line, one
            assert kind
