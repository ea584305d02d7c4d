"""Secrets in URIs are used, and shown nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from results import NoRunError, ResultsError, open_run, open_runs
from results.storage.backends.credentials import without_credentials, without_secrets

SHOWN = [
    ("s3://AKIA:hush@bucket/runs/x", "s3://bucket/runs/x"),
    ("s3://AKIA:hu/sh@bucket/runs/x?region=eu", "s3://bucket/runs/x?region=eu"),
    ("s3://AKIA:hu?sh@bucket/runs/x", "s3://bucket/runs/x"),
    ("s3://AKIA:hu#sh@bucket/runs/x", "s3://bucket/runs/x"),
    ("s3://AKIA:hu@sh@bucket/runs/x", "s3://bucket/runs/x"),
    ("s3://AKIA:12/hush@bucket/runs/x", "s3://bucket/runs/x"),
    ("s3://bucket/runs/me@home", "s3://bucket/runs/me@home"),
    ("hdfs://host:8020/runs/me@home", "hdfs://host:8020/runs/me@home"),
    ("s3://bucket/x?endpoint_override=http://u:hush@host:9000", "s3://bucket/x?endpoint_override=http://host:9000"),
    ("s3://bucket/x?endpoint_override=http%3A%2F%2Fu%3Ahush%40host", "s3://bucket/x?endpoint_override=http://host"),
    ("s3://bucket/x?session_token=hush&region=eu", "s3://bucket/x?session_token=***&region=eu"),
    ("s3://bucket/x?whatever=hush", "s3://bucket/x?whatever=***"),
    ("abfs://container@account.dfs.core.windows.net/x", "abfs://container@account.dfs.core.windows.net/x"),
    ("abfs://container:hush@account/x", "abfs://container@account/x"),
    ("runs/a@b:c?d", "runs/a@b:c?d"),
]  # fmt: skip


@pytest.mark.parametrize(("uri", "shown"), SHOWN)
def test_a_uri_is_shown_without_its_secrets(uri: str, shown: str) -> None:
    assert without_credentials(uri) == shown
    assert (
        "hush" not in without_secrets(f"cannot parse {uri} (secret hush, token hu%2Fsh)", uri)
        or "hush" not in uri
    )


@pytest.mark.parametrize("uri", [uri for uri, _ in SHOWN if "hu" in uri and "endpoint" not in uri])
def test_no_error_about_a_uri_shows_its_secrets(uri: str) -> None:
    odd = uri.replace("s3://", "s4://").replace("abfs://", "abfz://")
    for fails in (lambda: open_run(odd), lambda: open_runs(odd + "/night-*")):
        with pytest.raises(ResultsError) as caught:
            fails()
        assert not any(part in str(caught.value) for part in ("hush", "sh@", "AKIA", "hu/"))


def test_a_pattern_that_matches_nothing_is_shown_without_its_secrets(tmp_path: Path) -> None:
    pattern = f"file://{tmp_path}/night-*?token=hush"
    with pytest.raises((NoRunError, ResultsError)) as caught:
        open_runs(pattern)
    assert "hush" not in str(caught.value)
