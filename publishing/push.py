"""Upload of a published dataset to the Hugging Face hub, resumed by running it again."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from publishing.description import MANIFEST, read_description
from publishing.tombstones import TOMBSTONES
from schemas.errors import ConfigurationError, LensmithError, MissingPackageError, RunFailedError
from schemas.published import PUBLISHED
from schemas.storage import Folder

_log = logging.getLogger(__name__)

_HUB = "https://huggingface.co"
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
    token = _checked(repo_id)
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


def _checked(repo_id: str) -> str:
    """The token, once everything that can be wrong without asking the hub has been looked at."""
    if repo_id.count("/") != 1 or not all(repo_id.split("/")):
        raise ConfigurationError(f"{repo_id!r} is no repository: name it OWNER/NAME.")
    token = os.environ.get("HF_TOKEN", "").strip()
    if not token:
        raise ConfigurationError("HF_TOKEN is not set: put a token that may write to the hub into the environment.")
    if not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigurationError("HF_TOKEN is no token (it has blanks or strange characters in it): set it again.")
    endpoint = os.environ.get("HF_ENDPOINT", "")
    if endpoint and not endpoint.startswith(("http://", "https://")):
        raise ConfigurationError("HF_ENDPOINT is no address of a hub: unset it, or begin it with https://.")
    try:
        from huggingface_hub import constants
        from huggingface_hub.utils import HFValidationError, validate_repo_id
    except ImportError as error:
        raise MissingPackageError("huggingface-hub", "publish", "pushing a dataset") from error
    try:
        validate_repo_id(repo_id)
    except HFValidationError as error:
        raise ConfigurationError(f"{repo_id!r} is no repository the hub would make: {_one_line(str(error))}") from None
    if constants.HF_HUB_OFFLINE:
        raise ConfigurationError("HF_HUB_OFFLINE is set, so that nothing is sent: unset it to push.")
    return token


def _push_once(dataset: Folder, files: list[str], repo_id: str, private: bool, token: str) -> Pushed:
    from huggingface_hub import HfApi

    endpoint = os.environ.get("HF_ENDPOINT", "").rstrip("/") or _HUB
    api = HfApi(endpoint=endpoint, token=token, library_name="lensmith")
    url = api.create_repo(repo_id, repo_type="dataset", private=private or None, exist_ok=True)
    with _plain_uploads(unless=endpoint == _HUB or _stores_chunks(endpoint, repo_id, token)):
        api.upload_folder(
            repo_id=repo_id,
            repo_type="dataset",
            folder_path=dataset.root,
            allow_patterns=files,
            delete_patterns=[f"{one.folder}/*" for one in PUBLISHED],
            commit_message="Publish the dataset",
        )
    return Pushed(str(url), len(files))


def _stores_chunks(endpoint: str, repo_id: str, token: str) -> bool:
    """Whether a hub has Xet storage: where it has not, huggingface_hub tries for minutes and gives up, although plain
    uploads would go through."""
    from huggingface_hub.utils import build_hf_headers, get_session

    address = f"{endpoint}/api/datasets/{repo_id}/xet-write-token/main"
    answer = get_session().get(address, headers=build_hf_headers(token=token, library_name="lensmith"))
    return answer.status_code == 200 and "x-xet-cas-url" in answer.headers


@contextmanager
def _plain_uploads(unless: bool) -> Iterator[None]:
    """Files go over plain HTTP meanwhile. The library looks at its switch at each upload; its variable of the
    environment is read once, at the import."""
    from huggingface_hub import constants

    before = constants.HF_HUB_DISABLE_XET
    constants.HF_HUB_DISABLE_XET = before or not unless
    try:
        yield
    finally:
        constants.HF_HUB_DISABLE_XET = before


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
