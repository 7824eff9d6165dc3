"""Encoders of the Hugging Face hub: fetched whole before any training, or the copy of an earlier day."""

import functools
import os
from pathlib import Path
from urllib.parse import urlsplit

from huggingface_hub import HfApi, constants, hf_hub_download
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, HFValidationError, OfflineModeIsEnabled
from huggingface_hub.file_download import repo_folder_name

from intents.errors import EncoderError
from intents.models.encoders.files import (
    CONFIG,
    INDEX,
    WEIGHTS,
    check_configuration,
    check_names,
    first_line,
    has_weights,
    unusable,
    weight_files,
)

VOCABULARY_SUFFIXES = (".json", ".txt", ".model")
"""Files of a hub repository that configure an encoder or spell its tokens. Code and pickles are never fetched."""
HUB_SECONDS = 5
"""A hub that doesn't answer so long, each time it is asked, can't be reached (HF_HUB_ETAG_TIMEOUT sets another)."""
CONVERTER = "SFconvertbot"
"""The hub's own account, which proposes safetensors where a repository has only pickles."""
ANSWERS = {
    401: "no public repository of this name (check its spelling; for a private one set HF_TOKEN)",
    403: "access to it is refused (ask for it on the repository's page, then set HF_TOKEN)",
    404: "no repository of this name (check its spelling)",
}
"""What the hub means by its refusals."""


@functools.cache  # a run asks the hub once, so that all of it reads one revision
def fetched(hub_id: str) -> Path:
    """The local copy of a hub repository: today's, or an earlier one where the hub gives none. Raises EncoderError."""
    try:
        return _fetch(hub_id)
    except EncoderError:
        raise
    except HFValidationError as error:
        raise unusable(hub_id, f"it is no hub id: {first_line(error)}") from error
    except Exception as error:  # the HTTP library below the hub's client has errors of its own
        copy = _cached(hub_id)
        if copy is None:
            host = urlsplit(constants.ENDPOINT).netloc.rpartition("@")[2]
            raise unusable(hub_id, f"it can't be fetched from {host}: {_reason(error)}") from error
        return copy


def _fetch(hub_id: str) -> Path:
    """Fetches what an encoder needs: small files first, so that what they forbid costs no download of weights."""
    api = HfApi()
    # One question with a time limit. The client's own way to a file asks many times, or waits for ever.
    seconds = constants.HF_HUB_ETAG_TIMEOUT if "HF_HUB_ETAG_TIMEOUT" in os.environ else HUB_SECONDS
    info = api.model_info(hub_id, timeout=seconds)
    names = {file.rfilename for file in info.siblings or []}
    if not names & {WEIGHTS, INDEX} and (proposal := _converted(api, hub_id)):
        info = api.model_info(hub_id, revision=proposal, timeout=seconds)
        names = {file.rfilename for file in info.siblings or []}
    check_names(names, hub_id)
    for name in sorted(name for name in names if "/" not in name and name.endswith(VOCABULARY_SUFFIXES)):
        directory = Path(hf_hub_download(hub_id, name, revision=info.sha)).parent
    check_configuration(directory, hub_id)
    for name in weight_files(directory, names):
        hf_hub_download(hub_id, name, revision=info.sha)
    return directory


def _converted(api: HfApi, hub_id: str) -> str | None:
    """The revision in which the hub itself proposes safetensors for a repository of pickles; None without one."""
    try:
        proposals = list(
            api.get_repo_discussions(
                hub_id, author=CONVERTER, discussion_type="pull_request", discussion_status="open"
            )
        )
    except HfHubHTTPError:  # a repository may have its discussions closed, a mirror may have none
        return None
    return next((each.git_reference for each in proposals if each.author == CONVERTER), None)


def _cached(hub_id: str) -> Path | None:
    """The copy fetched last of those that have their weights, which are fetched after all else; None without one."""
    folder = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=hub_id, repo_type="model") / "snapshots"
    copies = [copy for copy in folder.glob("*") if (copy / CONFIG).is_file() and has_weights(copy)]
    return max(copies, key=lambda copy: copy.stat().st_mtime, default=None)


def _reason(error: Exception) -> str:
    """One line on why the hub gave nothing. The token stands only in headers, which no error repeats."""
    if isinstance(error, OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE is set, and no copy is cached (unset it, or bring the cache of a machine that has one)"
    if isinstance(error, GatedRepoError):
        return "it is gated (accept its terms on the repository's page, then set HF_TOKEN)"
    if isinstance(error, HfHubHTTPError):
        status = error.response.status_code
        return f"HTTP {status}, {ANSWERS.get(status, 'which is no answer (try again later)')}"
    return first_line(error)
