"""Conditional puts on S3: an object is replaced by those who have seen it last, and never by an earlier writer.

``pyarrow.fs`` has no such puts, so they are obstore's. Every object names its writer in its metadata. A put states
which object it replaces (``If-Match``), or that there is none (``If-None-Match``). So one that was on its way for
minutes is refused by the store if another writer has been there meanwhile.
"""

from __future__ import annotations

import functools
import importlib.util
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, cast

import pyarrow.fs as pafs

from results.errors import one_line
from results.storage.backends.fence import Fence

if TYPE_CHECKING:
    from obstore.store import RetryConfig, S3Config, S3CredentialProvider, S3Store

logger = logging.getLogger(__name__)

WRITER = "shrinksweep-writer"
"""Metadata key of an object: who has written it, see ``Fence.writer``."""

TRIES = 10
"""Of a put, while others replace the same object."""

RETRIES: RetryConfig = {"max_retries": 3, "retry_timeout": timedelta(seconds=30)}
"""Those of the client; ``RetryingStorage`` goes on for minutes."""


@dataclass(frozen=True)
class ConditionalPuts:
    """Puts below ``prefix`` of an S3 bucket. Picklable, with the credentials of the file system it was made of."""

    bucket: str
    prefix: str
    settings: tuple[tuple[str, str | bool], ...] = field(repr=False)

    def replace(self, path: str, content: bytes, fence: Fence) -> bool:
        """Put an object in place of the one that is there; return False if that one has a later writer.

        Raises:
            OSError: storage failed.
        """
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        for _ in range(TRIES):
            with _as_os_error():
                e_tag, writer = self._seen(path)
                if writer is not None and fence.gives_way_to(writer):
                    return False
                try:
                    self._store.put(
                        path,
                        content,
                        mode="create" if e_tag is None else {"e_tag": e_tag},
                        attributes={WRITER: fence.writer},
                        use_multipart=False,
                    )
                except (AlreadyExistsError, PreconditionError):
                    continue  # the object is another one by now, perhaps by an answer of ours that was lost
                return True
        raise OSError(f"an object must stay the same while it is replaced, but {path} did not {TRIES} times")

    def are_obeyed(self, existing: str) -> bool:
        """Whether the store refuses to create an object that exists."""
        from obstore.exceptions import AlreadyExistsError, BaseError

        try:
            self._store.put(existing, b"", mode="create", use_multipart=False)
        except AlreadyExistsError:
            return True
        except (BaseError, OSError) as error:  # such as no credentials, or no such condition
            logger.warning("no conditional puts on s3://%s: %s", self.bucket, one_line(error, 300))
            return False
        return False

    def _seen(self, path: str) -> tuple[str | None, str | None]:
        """Return the tag of an object and its writer; None where there is no object, or one without a writer."""
        try:
            found = self._store.get(path, options={"head": True})
        except FileNotFoundError:
            return None, None
        writer = found.attributes.get(WRITER)
        return found.meta["e_tag"], None if writer is None else str(writer)

    @property
    def _store(self) -> S3Store:
        return _open_store(self.bucket, self.prefix, self.settings)


def conditional_puts(filesystem: pafs.FileSystem, root: str, *, proven_by: str) -> ConditionalPuts | None:
    """Return the conditional puts below ``root`` of a file system, None if it has none.

    ``proven_by`` is the path of an object that exists: a store may know no conditions, and do whatever it is told.
    """
    if not isinstance(filesystem, pafs.S3FileSystem):
        return None
    _, (options,) = filesystem.__reduce__()
    if options["role_arn"]:
        return None
    bucket, _, prefix = root.partition("/")
    endpoint = options["endpoint_override"]
    settings: dict[str, str | bool | None] = {
        "access_key_id": options["access_key"],
        "secret_access_key": options["secret_key"],
        "session_token": options["session_token"],
        "skip_signature": options["anonymous"],
        "region": options["region"],
        "endpoint": endpoint if not endpoint or "://" in endpoint else f"{options['scheme']}://{endpoint}",
        "virtual_hosted_style_request": options["force_virtual_addressing"],
        "allow_http": options["scheme"] == "http",
    }
    puts = ConditionalPuts(bucket, prefix, tuple((name, value) for name, value in settings.items() if value))
    return puts if puts.are_obeyed(proven_by) else None


@functools.lru_cache(maxsize=8)
def _open_store(bucket: str, prefix: str, settings: tuple[tuple[str, str | bool], ...]) -> S3Store:
    from obstore.store import S3Store

    options = dict(settings)
    allow_http = bool(options.pop("allow_http", False))
    return S3Store(
        bucket,
        prefix=prefix or None,
        config=cast("S3Config", options),
        client_options={"allow_http": allow_http},
        retry_config=RETRIES,
        credential_provider=_provider() if "access_key_id" not in options else None,
    )


def _provider() -> S3CredentialProvider | None:
    """Return boto3's credentials, which include those of profiles; None if obstore finds them itself, or has to."""
    if "AWS_ACCESS_KEY_ID" in os.environ or importlib.util.find_spec("boto3") is None:
        return None
    from obstore.auth.boto3 import Boto3CredentialProvider

    return Boto3CredentialProvider()


@contextmanager
def _as_os_error() -> Iterator[None]:
    """Raise the errors of obstore as ``OSError``, as those of ``pyarrow.fs`` are."""
    from obstore.exceptions import BaseError

    try:
        yield
    except BaseError as error:
        raise OSError(one_line(str(error).partition("\n")[0], 300)) from None
