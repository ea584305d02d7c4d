"""URIs without their secrets, for display: what is not known to be harmless is not shown."""

from __future__ import annotations

import re
from urllib.parse import unquote

WITH_PORTS = {"hdfs", "viewfs", "http", "https"}
"""Schemes whose URIs may have a port."""

HARMLESS = {
    "region",
    "scheme",
    "endpoint_override",
    "allow_bucket_creation",
    "allow_bucket_deletion",
    "retry_limit_seconds",
    "replication",
    "buffer_size",
    "blob_storage_authority",
    "dfs_storage_authority",
    "blob_storage_scheme",
    "dfs_storage_scheme",
}
"""Parameters of ``pyarrow.fs`` that may be shown."""

HIDDEN = "***"

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def without_credentials(uri: str) -> str:
    """Return a URI without user and password; every parameter that is not known to be harmless becomes ``***``.

    Odd secrets are found, too: one that holds ``/``, ``?``, ``#`` or ``@``, or that is in the URI of an endpoint. The
    container of ``abfs://container@account`` is no secret.

    >>> without_credentials("s3://AKIA:hu/sh@bucket/runs/x?region=eu-west-1&session_token=hush")
    's3://bucket/runs/x?region=eu-west-1&session_token=***'
    """
    scheme = _SCHEME.match(uri)
    if scheme is None:
        return uri
    user, rest = _split_user(uri)
    is_container = scheme[0].startswith(("abfs", "az")) and user
    kept = f"{user.partition(':')[0]}@" if is_container else ""
    path, mark, query = rest.partition("?")
    pairs = [pair.partition("=") for pair in re.split("[&#]", query) if pair]
    shown = "&".join(
        f"{name}={without_credentials(unquote(value)) if name in HARMLESS else HIDDEN}"
        for name, _, value in pairs
    )
    return f"{scheme[0]}{kept}{path}{mark}{shown}"


def without_secrets(text: str, uri: str) -> str:
    """Return ``text``, such as the message of an error, without the secrets of ``uri`` and without ``uri`` itself."""
    text = text.replace(uri, without_credentials(uri))
    for secret in sorted(_secrets(uri), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text


def _split_user(uri: str) -> tuple[str, str]:
    """Return the user and password of a URI, and what follows the ``@``, both without the scheme.

    A secret may hold any character. So whatever stands before the last ``@`` belongs to it, if it begins like a user
    with a password; without a password, an ``@`` behind the first slash belongs to the path.
    """
    scheme, _, rest = uri.partition("://")
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    _, colon, tail = authority.partition(":")
    is_port = scheme in WITH_PORTS and tail.isdigit() and "@" not in authority
    if colon and not is_port:
        user, _, rest = rest.rpartition("@") if "@" in rest else ("", "", rest)
        return user, rest
    user, at, host = authority.rpartition("@")
    return (user, host + rest[len(authority) :]) if at else ("", rest)


def _secrets(uri: str) -> set[str]:
    user, rest = _split_user(uri)
    found = {user, *user.split(":", 1)}
    for pair in re.split("[&#]", rest.partition("?")[2]):
        name, _, value = pair.partition("=")
        if name not in HARMLESS:
            found.add(value)
        elif "://" in unquote(value):
            found |= _secrets(unquote(value))
    found |= {unquote(secret) for secret in found}
    found |= {part for secret in found for part in re.split("[/?#@:]", secret)}
    return {secret for secret in found if len(secret) > 1}
