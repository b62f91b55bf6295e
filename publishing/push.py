"""Upload of a published dataset to the Hugging Face hub, resumed by running it again."""

from __future__ import annotations

import logging
import os
import time
from dataclasses import dataclass

from publishing.description import MANIFEST, read_description
from publishing.tombstones import TOMBSTONES
from schemas.errors import ConfigurationError, LensmithError, MissingPackageError, RunFailedError
from schemas.published import PUBLISHED
from schemas.storage import Folder

_log = logging.getLogger(__name__)

_DOCUMENTS = ("README.md", "croissant.json", "funnel.json", MANIFEST)
#: Answers of the hub that trying again does not mend, and what does.
_MENDS = {
    400: "the hub refused the request",
    401: "the hub did not accept the token: set HF_TOKEN to one that may write to this repository",
    403: "the token may not write to this repository: give it write access, or choose another repository",
    404: "the hub knows no such owner or repository: check its name",
}


@dataclass(frozen=True)
class Pushed:
    """Where a dataset went, and how many files of it."""

    url: str
    files: int


def dataset_files(folder: Folder) -> list[str]:
    """Names of all files of the dataset in `folder`, sorted. Raises ConfigurationError unless every one is there with
    the size that the manifest names."""
    about = read_description(folder)
    wanted = {one.name: one.bytes for one in about.files}
    for name, size in wanted.items():
        if not folder.exists(name) or folder.fs.size(folder.at(name)) != size:
            raise ConfigurationError(
                f"{folder.path} is no complete dataset ({name} is missing or cut): publish it again."
            )
    for name in _DOCUMENTS:
        if not folder.exists(name):
            raise ConfigurationError(f"{folder.path} is no complete dataset ({name} is missing): publish it again.")
    more = [TOMBSTONES] if folder.exists(TOMBSTONES) else []
    return sorted([*wanted, *_DOCUMENTS, *more])


def push(dataset: Folder, repo_id: str, private: bool = False, attempts: int = 5, wait: float = 2.0) -> Pushed:
    """Create the repository if need be, upload the dataset's files and remove superseded ones.

    Cut connections are tried again, `attempts` times with doubled waits from `wait` seconds on; what is there already
    is not sent twice, neither then nor when the command is run again. Only files that the manifest names are sent.
    The token comes from the environment (HF_TOKEN) and appears in no message. Raises ConfigurationError for a folder
    that is no complete dataset, a missing token or a refusal of the hub, and RunFailedError when the attempts are
    used up.
    """
    files = dataset_files(dataset)
    if not dataset.is_local:
        raise ConfigurationError(f"{dataset.path} is not on a local disk: copy the dataset to one and push that.")
    if repo_id.count("/") != 1 or not all(repo_id.split("/")):
        raise ConfigurationError(f"{repo_id!r} is no repository: name it OWNER/NAME.")
    token = os.environ.get("HF_TOKEN", "").strip()
    if not token:
        raise ConfigurationError("HF_TOKEN is not set: put a token that may write to the hub into the environment.")
    try:
        import huggingface_hub  # noqa: F401
    except ImportError as error:
        raise MissingPackageError("huggingface-hub", "publish", "pushing a dataset") from error
    for attempt in range(1, attempts + 1):
        try:
            return _push_once(dataset, files, repo_id, private, token)
        except _passing_errors() as error:
            refusal = _refusal(error)
            # Not chained: what the library's errors hold of a request is no business of a log.
            message = _without(token, str(error))
            if refusal is not None:
                raise ConfigurationError(f"Pushing to {repo_id} failed: {refusal}. ({_one_line(message)})") from None
            if attempt == attempts:
                raise RunFailedError(
                    f"Pushing to {repo_id} failed {attempts} times ({_one_line(message)}): run the command again, it "
                    "goes on where it stopped."
                ) from None
        _log.warning("pushing to %s was cut (attempt %d of %d): %s", repo_id, attempt, attempts, _one_line(message))
        time.sleep(wait * 2 ** (attempt - 1))
    raise AssertionError("the last attempt returns or raises")


def _push_once(dataset: Folder, files: list[str], repo_id: str, private: bool, token: str) -> Pushed:
    from huggingface_hub import HfApi

    api = HfApi(endpoint=os.environ.get("HF_ENDPOINT") or None, token=token, library_name="lensmith")
    url = api.create_repo(repo_id, repo_type="dataset", private=private or None, exist_ok=True)
    api.upload_folder(
        repo_id=repo_id,
        repo_type="dataset",
        folder_path=dataset.root,
        allow_patterns=files,
        delete_patterns=[f"{one.folder}/*" for one in PUBLISHED],
        commit_message="Publish the dataset",
    )
    return Pushed(str(url), len(files))


def _passing_errors() -> tuple[type[Exception], ...]:
    """What a cut upload raises: errors of the HTTP library on which huggingface_hub stands (httpx, lately httpx2), its
    own `HfHubHTTPError` among them, and the RuntimeError into which it wraps those of its upload threads."""
    from huggingface_hub.errors import HfHubHTTPError

    base = next(one for one in HfHubHTTPError.__mro__ if one.__name__ == "HTTPError")
    return (base, RuntimeError, ConnectionError, TimeoutError)


def _refusal(error: BaseException | None) -> str | None:
    """The mend of an answer that trying again does not change; None for a passing error."""
    while error is not None:
        if isinstance(error, LensmithError):
            raise error
        status = getattr(getattr(error, "response", None), "status_code", None)
        if status in _MENDS:
            return _MENDS[status]
        error = error.__cause__
    return None


def _without(token: str, message: str) -> str:
    return message.replace(token, "***")


def _one_line(message: str) -> str:
    return " ".join(message.split())[:300]
