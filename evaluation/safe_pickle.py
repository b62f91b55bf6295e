"""Reads pickles of plain containers and numeric numpy arrays, and nothing else: a pickle from the web is a program.

No class of the pickle's choosing is ever looked up. What numpy's pickles name is mapped to stand-ins that hold data and
check it; arrays are built from their bytes afterwards.
"""

from __future__ import annotations

import io
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from schemas.errors import ConfigurationError

_KINDS = "biufSU"


class _Dtype:
    """Stands for numpy.dtype: a code and a byte order."""

    def __init__(self, code: Any = "", align: Any = False, copy: Any = False) -> None:
        self.dtype = np.dtype(code if isinstance(code, str) else "O")
        if self.dtype.kind not in _KINDS:
            raise pickle.UnpicklingError("an array of something other than numbers or strings")

    def __setstate__(self, state: Any) -> None:
        order = state[1]
        if order in ("<", ">"):
            self.dtype = self.dtype.newbyteorder(order)


class _Array:
    """Stands for numpy.ndarray: shape, type and bytes."""

    def __init__(self, *ignored: Any) -> None:
        self.value: Any = np.zeros(0)

    def __setstate__(self, state: Any) -> None:
        _, shape, kind, fortran, data = state
        if not isinstance(kind, _Dtype):
            raise pickle.UnpicklingError("an array without a type")
        raw = data.encode("latin-1") if isinstance(data, str) else data
        self.value = np.frombuffer(raw, kind.dtype).reshape(shape, order="F" if fortran else "C")


@dataclass(frozen=True)
class _Scalar:
    """Stands for one numpy number."""

    kind: _Dtype
    data: Any

    @property
    def value(self) -> Any:
        raw = self.data.encode("latin-1") if isinstance(self.data, str) else self.data
        return np.frombuffer(raw, self.kind.dtype)[0].item()


def _buffer(data: Any, kind: Any, shape: Any, order: Any) -> _Array:
    """Stands for numpy's way of protocol 5."""
    found = _Array()
    found.__setstate__((1, shape, kind, order == "F", bytes(data)))
    return found


def _encode(text: str, codec: str = "latin1") -> bytes:
    """Bytes of Python 3 in a protocol of Python 2."""
    if codec not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError(f"the codec {codec!r}")
    return text.encode("latin-1")


def _no_bytes() -> bytes:
    """How Python 3 writes empty bytes in a protocol of Python 2."""
    return b""


_STAND_INS: dict[tuple[str, str], Any] = {
    ("numpy", "dtype"): _Dtype,
    ("numpy", "ndarray"): _Array,
    ("_codecs", "encode"): _encode,
    ("__builtin__", "bytes"): _no_bytes,
    ("builtins", "bytes"): _no_bytes,
}
for _module in ("numpy.core", "numpy._core"):
    _STAND_INS[f"{_module}.multiarray", "_reconstruct"] = _Array
    _STAND_INS[f"{_module}.multiarray", "scalar"] = _Scalar
    _STAND_INS[f"{_module}.numeric", "_frombuffer"] = _buffer


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _STAND_INS[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which no array needs") from None


def read_pickle(path: Path) -> Any:
    """Containers, strings, numbers and arrays of a pickle of any protocol, Python 2's too; arrays as lists.

    Raises ConfigurationError for any other content, without running it.
    """
    try:
        found = _Unpickler(io.BytesIO(path.read_bytes()), encoding="latin1").load()
        return _plain(found)
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {error.strerror}.") from error
    except (
        pickle.UnpicklingError,
        ArithmeticError,
        AttributeError,
        EOFError,
        ImportError,
        LookupError,
        MemoryError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        raise ConfigurationError(f"{path} is no pickle of plain data ({error}): give the published file.") from error


def _plain(found: Any) -> Any:
    """Stand-ins replaced by lists and numbers."""
    if isinstance(found, dict):
        return {_plain(key): _plain(one) for key, one in found.items()}
    if isinstance(found, list | tuple):
        return [_plain(one) for one in found]
    if isinstance(found, _Array):
        return found.value.tolist()
    if isinstance(found, _Scalar):
        return found.value
    if isinstance(found, str | int | float | bytes | None):
        return found
    raise pickle.UnpicklingError(f"it holds a {type(found).__name__}")
