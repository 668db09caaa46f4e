"""The whole state of the cloud as bytes and back: moto's backends and our own stores in one pickle."""

from __future__ import annotations

import hashlib
import io
import pickle
import pickletools
import threading
from collections.abc import Callable
from itertools import islice, pairwise
from typing import Any

import moto
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from moto import backends
from moto.core.base_backend import BackendDict, BaseBackend
from moto.s3.utils import _VersionedKeyStore

from localcloud.cloud import Cloud, Remembered

FORMAT = 1
_HEADER_OPCODES = 20  # the header's two keys and values are among the first 12
_NOT_STATE = {"moto_api", "instance_metadata"}
_LOCK_TYPES = (type(threading.Lock()), type(threading.RLock()))


class DamagedState(Exception):
    """The saved bytes are not what was written, or were written by another version."""


def _key_from_pem(pem: bytes) -> Any:
    # The state's own checksum is verified already; checking the primes again takes most of a load.
    return serialization.load_pem_private_key(pem, password=None, unsafe_skip_rsa_key_validation=True)


def _reducer(thing: Any) -> Any:
    if isinstance(thing, _VersionedKeyStore):
        # Pickled as the dict that it is, it gives up all but the newest version of each key; to set one is to append.
        each = ((key, version) for key, versions in thing.lists() for version in versions)
        return _VersionedKeyStore, (), None, None, each
    if isinstance(thing, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        pem = thing.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return _key_from_pem, (pem,)
    if isinstance(thing, _LOCK_TYPES[0]):
        return threading.Lock, ()
    if isinstance(thing, _LOCK_TYPES[1]):
        return threading.RLock, ()
    return NotImplemented


class _Pickler(pickle.Pickler):
    def persistent_id(self, obj: Any) -> Any:
        if isinstance(obj, BaseBackend):
            return ("backend", *_name_of(obj))
        if isinstance(obj, BackendDict):
            return ("backends", obj.service_name)
        return None

    reducer_override: Callable[[Any], Any] = staticmethod(_reducer)


class _Unpickler(pickle.Unpickler):
    def persistent_load(self, pid: Any) -> Any:
        if pid[0] == "backend":
            _, service, account, region = pid
            return backends.get_backend(service)[account][region]
        return backends.get_backend(pid[1])


def _name_of(backend: BaseBackend) -> tuple[str, str, str]:
    for group in BackendDict._instances:
        for account, region, candidate in group.iter_backends():
            if candidate is backend:
                return str(group.service_name), account, region
    raise LookupError(f"{backend!r} belongs to no service")


def dumped(cloud: Cloud) -> bytes:
    """Return the state as bytes; call it while nothing changes the cloud."""
    states = {
        (group.service_name, account, region): backend.__dict__
        for group in list(BackendDict._instances)
        if group.service_name not in _NOT_STATE
        for account, region, backend in group.iter_backends()
    }
    buffer = io.BytesIO()
    content = {"format": FORMAT, "moto": moto.__version__, "remembered": cloud.remembered, "backends": states}
    _Pickler(buffer, protocol=pickle.HIGHEST_PROTOCOL).dump(content)
    body = buffer.getvalue()
    return hashlib.sha256(body).digest() + body


def verified(data: bytes) -> bytes:
    """Return the pickle in what `dumped` returned, which nothing here runs; raises DamagedState when it is not that."""
    digest, body = data[:32], data[32:]
    if hashlib.sha256(body).digest() != digest:
        raise DamagedState("the checksum does not match: the file was cut off or changed")
    by_format, by_moto = _written_by(body)
    if by_format != FORMAT or by_moto != moto.__version__:
        raise DamagedState(f"written by format {by_format} with moto {by_moto}, not {FORMAT} with {moto.__version__}")
    return body


def _written_by(body: bytes) -> tuple[Any, Any]:
    """Read the format and moto's version, the first entries of `content`, without making the objects after them."""
    # Classes of another moto may be gone, so unpickling would fail before it came to say which moto that was.
    said = [value for _, value, _ in islice(pickletools.genops(body), _HEADER_OPCODES) if value is not None]
    named = dict(pairwise(said))
    return named.get("format"), named.get("moto")


def load(cloud: Cloud, body: bytes) -> None:
    """Replace the state by the pickle that `verified` returned; when it raises, the state is neither old nor new."""
    reset()
    content = _Unpickler(io.BytesIO(body)).load()
    for (service, account, region), state in content["backends"].items():
        backend = backends.get_backend(service)[account][region]
        backend.__dict__.clear()
        backend.__dict__.update(state)
    remembered: Remembered = content["remembered"]
    cloud.remembered = remembered


def reset() -> None:
    """Empty every backend."""
    BackendDict.reset()
