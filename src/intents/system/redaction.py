"""What may be shown of a text: everything but its secrets, wherever in an address or a setting they stand."""

import os
import re
from collections.abc import Iterator
from urllib.parse import unquote, unquote_plus

HIDDEN = "***"
ADDRESSES = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI")
"""Variables whose address may carry a secret that a library then quotes by itself."""
_WORDS = "password|passwd|pwd|passphrase|token|secret|signature|credentials?"
_SECRET = rf"(?:{_WORDS}|(?:api|access|account|shared)[_-]?key)"
_KEY = re.compile(rf"[\w.-]*{_SECRET}", re.IGNORECASE)
_NO_PORT = r"(?!(?:(?<=http://)|(?<=https://))(?:\[[\da-f:.]+\](?::\d{1,5})?|[^/\s:@?#'\"]*:\d{1,5})/)"
"""Behind a scheme: no host and port of the web, whose path may hold an @. Of a database it would be a password."""
_USERINFO = re.compile(rf"(\w[\w+.-]*://{_NO_PORT}[^/\s:@?#'\"]*):[^\s]*@", re.IGNORECASE)
_BARE_USERINFO = re.compile(r"(https?://)[^/\s:@?#'\"]+@", re.IGNORECASE)
_ASSIGNED = re.compile(
    rf"([\w.-]*{_SECRET}['\"]?(?:\s*=\s*|%3D|['\"]\s*:\s*|=>))"
    r"(?:'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"|[^\s&'\"]+)",
    re.IGNORECASE,
)
_SIGNED = re.compile(r"([?&]sig=)[^\s&'\"]+")
_IN_HEADER = re.compile(r"\b(Bearer|Basic)\s+[\w.~+/=-]{6,}", re.IGNORECASE)
_ENCODED_KEY = re.compile(r"([?&])([\w.+-]*%[\w.+%-]*)=([^\s&'\"]*)")
NO_SECRETS = ("PWD", "OLDPWD")
"""Variables that sound like secrets, and hold folders."""
SHORTEST, LONGEST_WORD = 6, 12
"""A secret is hidden by its value too, unless it is so short, or a word or number so short, that any text has it."""


def without_secrets(text: str) -> str:
    """`text` with the secrets in it replaced: of addresses, settings and headers, and those this process was given."""
    text = _USERINFO.sub(rf"\1:{HIDDEN}@", text)
    text = _BARE_USERINFO.sub(rf"\1{HIDDEN}@", text)
    text = _ENCODED_KEY.sub(_hidden_if_secret, text)
    text = _ASSIGNED.sub(rf"\1{HIDDEN}", text)
    text = _SIGNED.sub(rf"\1{HIDDEN}", text)
    text = _IN_HEADER.sub(rf"\1 {HIDDEN}", text)
    for secret in sorted(set(_given()), key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", HIDDEN, text)
    return text


def _hidden_if_secret(found: "re.Match[str]") -> str:
    mark, key, value = found.groups()
    return f"{mark}{key}={HIDDEN if _KEY.fullmatch(unquote(key)) else value}"


def _given() -> Iterator[str]:
    """The secrets in this process's environment that can't be mistaken for a word, as written and as decoded."""
    found = [value for name, value in os.environ.items() if _KEY.fullmatch(name) and name not in NO_SECRETS]
    for address in filter(None, map(os.environ.get, ADDRESSES)):
        found += re.findall(rf"://{_NO_PORT}[^/\s:@]*:(\S*)@", address, re.IGNORECASE)
        found += [
            value
            for key, value in re.findall(r"[?&]([^=&]+)=([^&]*)", address)
            if _KEY.fullmatch(unquote(key))
        ]
    for secret in found:
        for form in (secret, unquote(secret), unquote_plus(secret)):
            is_common = (form.isalpha() or form.isdigit()) and len(form) < LONGEST_WORD
            if len(form) >= SHORTEST and not is_common:
                yield form
