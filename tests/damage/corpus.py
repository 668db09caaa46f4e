"""Damaged dumps: every way in which a copy goes bad that we know of, made from one sound dump by rule and seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

import zstandard
from lifeboat.database_model import DumpEntry, Manifest, StoredFile

from tests.restores.servers import BEGUN, StockDump, compressed

_SEED = 20261129
DATA, SCHEMA, MORE = "data-00.dump.zst", "schema.dump.zst", "data-01.dump.zst"


@dataclass(frozen=True, kw_only=True)
class Case:
    """One damaged dump. `plain`: the same damage done to a plain SQL dump in one compressed file, where there is such.

    `uploaded`: the manifest of what was stored once. S3 goes on to list its versions and ETags, whatever became of the
    bytes: so damage is not found by what a listing of the real S3 would not show.
    """

    kind: str
    name: str
    dump: StockDump
    uploaded: Manifest
    plain: bytes | None = None

    @property
    def entry(self) -> DumpEntry:
        """Return its folder as a listing shows it."""
        told = {file.name: file for file in self.uploaded.files}
        files = {
            name: StoredFile(
                name=name,
                size=len(body),
                etag=told[name].etag if name in told else "",
                version_id=told[name].version_id if name in told else "",
                stored_at=BEGUN,
            )
            for name, body in {**self.dump.files, "manifest.json": b"{}"}.items()
        }
        manifest = self.dump.manifest
        return DumpEntry(database=manifest.database, id=manifest.id, begun_at=BEGUN, prefix="", files=files)


@dataclass(frozen=True, kw_only=True)
class Sources:
    """What the corpus is made of: a dump, an older one of the same database, one of another database, a plain one.

    `changed` is a dump of the same shape after one row was written over, `fewer` after one was deleted.
    """

    sound: StockDump
    older: StockDump
    other: StockDump
    changed: StockDump
    fewer: StockDump
    plain: bytes


def cases(sources: Sources) -> Iterator[Case]:
    """Yield the whole corpus, the same each time."""
    chance = random.Random(_SEED)  # noqa: S311
    yield from _cuts(sources, chance)
    yield from _flips(sources, chance)
    yield from _holes(sources, chance)
    yield from _exchanges(sources)
    yield from _stale(sources, chance)
    yield from _agreeing(sources, chance)


def _cuts(sources: Sources, chance: random.Random) -> Iterator[Case]:
    """A transfer or a disk that ended too early: any file, at any place, down to nothing."""
    for name in (SCHEMA, DATA, MORE):
        body = sources.sound.files[name]
        for number, share in enumerate([0.0, 0.001, 0.5, 0.999, *(chance.random() for _ in range(36))]):
            end = min(int(len(body) * share), len(body) - 1)
            yield Case(
                uploaded=sources.sound.manifest,
                kind="cut off",
                name=f"{name} at {end} ({number})",
                dump=replace(sources.sound, files={**sources.sound.files, name: body[:end]}),
                plain=sources.plain[: int(len(sources.plain) * share)],
            )


def _flips(sources: Sources, chance: random.Random) -> Iterator[Case]:
    """One bit of the stored bytes."""
    for name in (SCHEMA, DATA, MORE):
        for _ in range(60):
            share, bit = chance.random(), chance.randrange(8)
            yield Case(
                uploaded=sources.sound.manifest,
                kind="bit flipped",
                name=f"{name} at {share:.4f}, bit {bit}",
                dump=replace(
                    sources.sound,
                    files={**sources.sound.files, name: _flipped(sources.sound.files[name], share, bit)},
                ),
                plain=_flipped(sources.plain, share, bit),
            )


def _flipped(body: bytes, share: float, bit: int) -> bytes:
    at = int(len(body) * share)
    return body[:at] + bytes([body[at] ^ (1 << bit)]) + body[at + 1 :]


def _holes(sources: Sources, chance: random.Random) -> Iterator[Case]:
    """A part of an upload that is missing, twice there, zeroed, or exchanged with its neighbour."""
    for name in (SCHEMA, DATA, MORE):
        body, plain = sources.sound.files[name], sources.plain
        for _ in range(10):
            share, size = chance.random() * 0.8, 0.02 + chance.random() * 0.1
            for how in ("missing", "twice", "zeroed", "exchanged"):
                yield Case(
                    uploaded=sources.sound.manifest,
                    kind=f"part {how}",
                    name=f"{name} at {share:.4f}",
                    dump=replace(sources.sound, files={**sources.sound.files, name: _holed(body, share, size, how)}),
                    plain=_holed(plain, share, size, how),
                )


def _holed(body: bytes, share: float, size: float, how: str) -> bytes:
    start = int(len(body) * share)
    end = start + max(int(len(body) * size), 1)
    part, after = body[start:end], body[end : end + (end - start)]
    instead = {"missing": b"", "twice": part * 2, "zeroed": b"\0" * len(part), "exchanged": after + part}[how]
    return body[:start] + instead + body[end + (len(after) if how == "exchanged" else 0) :]


def _exchanges(sources: Sources) -> Iterator[Case]:
    """Files that changed places, are gone, came from another dump, or were never asked for."""
    files = sources.sound.files
    for first, second in ((SCHEMA, DATA), (DATA, MORE), (SCHEMA, MORE)):
        for a, b in ((first, second), (second, first)):
            yield Case(
                uploaded=sources.sound.manifest,
                kind="files exchanged",
                name=f"{a} and {b}",
                dump=replace(sources.sound, files={**files, a: files[b], b: files[a]}),
            )
            yield Case(
                uploaded=sources.sound.manifest,
                kind="files exchanged",
                name=f"{b} twice",
                dump=replace(sources.sound, files={**files, a: files[b]}),
            )
    for name in files:
        gone = {other: body for other, body in files.items() if other != name}
        yield Case(
            uploaded=sources.sound.manifest, kind="file missing", name=name, dump=replace(sources.sound, files=gone)
        )
        yield Case(
            uploaded=sources.sound.manifest,
            kind="file missing",
            name=f"{name}, empty",
            dump=replace(sources.sound, files={**files, name: b""}),
        )
        for source, words in ((sources.other, "another database"), (sources.older, "an older dump")):
            yield Case(
                uploaded=sources.sound.manifest,
                kind="file of another dump",
                name=f"{name} of {words}",
                dump=replace(sources.sound, files={**files, name: source.files[name]}),
            )
    yield Case(
        uploaded=sources.sound.manifest,
        kind="stray file",
        name="data-07",
        dump=replace(sources.sound, files={**files, "data-07.dump.zst": b"x"}),
    )
    yield Case(
        uploaded=sources.sound.manifest,
        kind="stray file",
        name="empty",
        dump=replace(sources.sound, files={**files, "x": b""}),
    )


def _stale(sources: Sources, chance: random.Random) -> Iterator[Case]:
    """A manifest that is of other files than those beside it, or that lost a part of what it tells."""
    for source, words in ((sources.older, "an older dump"), (sources.other, "another database")):
        yield Case(
            uploaded=sources.sound.manifest,
            kind="stale manifest",
            name=f"of {words}",
            dump=replace(sources.sound, manifest=source.manifest),
        )
        for name in sources.sound.files:
            mixed = tuple(
                next(f for f in source.manifest.files if f.name == name) if file.name == name else file
                for file in sources.sound.manifest.files
            )
            yield Case(
                uploaded=sources.sound.manifest,
                kind="stale manifest",
                name=f"{name} as in {words}",
                dump=replace(sources.sound, manifest=replace(sources.sound.manifest, files=mixed)),
            )
    for file in sources.sound.manifest.files:
        for _ in range(4):
            field, digest = chance.choice(["sha256", "raw_sha256"]), f"{chance.getrandbits(256):064x}"
            wrong = tuple(
                replace(other, **{field: digest}) if other is file else other  # type: ignore[arg-type]
                for other in sources.sound.manifest.files
            )
            yield Case(
                uploaded=sources.sound.manifest,
                kind="wrong digest",
                name=f"{file.name}: {field} {digest[:6]}",
                dump=replace(sources.sound, manifest=replace(sources.sound.manifest, files=wrong)),
            )


def _forged(*, kind: str, name: str, dump: StockDump, plain: bytes | None = None) -> Case:
    """Return a case whose listing agrees with its manifest."""
    return Case(kind=kind, name=name, dump=dump, uploaded=dump.manifest, plain=plain)


def _agreeing(sources: Sources, chance: random.Random) -> Iterator[Case]:
    """Sound zstd, digests that agree, and wrong content: what a dumper that was killed or lied to leaves."""
    for name in (SCHEMA, DATA, MORE):
        raw = zstandard.ZstdDecompressor().decompress(sources.sound.files[name], max_output_size=10**8)
        for _ in range(15):
            end = int(len(raw) * chance.random())
            yield _forged(
                kind="wrong content, cut",
                name=f"{name} at {end} of {len(raw)}",
                dump=sources.sound.with_raw(name, raw[:end]),
                plain=_recompressed(sources.plain, end / len(raw)),
            )
    for name in (DATA, MORE):
        raw = zstandard.ZstdDecompressor().decompress(sources.sound.files[name], max_output_size=10**8)
        for number in range(20):
            yield _forged(
                kind="wrong content, a value",
                name=f"{name} ({number})",
                dump=sources.sound.with_raw(name, _other_value(raw, chance)),
            )
    for source, words in (
        (sources.changed, "a row changed"),
        (sources.fewer, "a row gone"),
        (sources.other, "another's"),
    ):
        for name in (DATA, MORE):
            raw = zstandard.ZstdDecompressor().decompress(source.files[name], max_output_size=10**8)
            if source.files[name] != sources.sound.files[name]:
                yield _forged(kind="wrong content, " + words, name=name, dump=sources.sound.with_raw(name, raw))
    yield _forged(
        kind="wrong content, no schema",
        name="an empty database's",
        dump=sources.sound.with_raw(SCHEMA, b""),
    )


def _recompressed(plain: bytes, share: float) -> bytes:
    raw = zstandard.ZstdDecompressor().decompress(plain, max_output_size=10**8)
    return compressed(raw[: int(len(raw) * share)])


def _other_value(raw: bytes, chance: random.Random) -> bytes:
    """Change one digit of a row: the values in the data are marked by "row-" and six digits."""
    places = [at for at in range(len(raw)) if raw.startswith(b"row-", at)]
    at = chance.choice(places) + len(b"row-") + chance.randrange(6)
    digit = (raw[at] - ord("0") + 1 + chance.randrange(8)) % 10
    return raw[:at] + bytes([ord("0") + digit]) + raw[at + 1 :]
