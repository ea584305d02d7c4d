"""Parquet files that unfold to many times their size: recognized by their footers, before anything is decoded.

A few kilobytes can stand for gigabytes: compressed zeros, a run of equal numbers or nulls, a long text that every row
refers to. Tables of runs unfold, too, but not without end.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from results.errors import BrokenFileError

ALWAYS_BYTES = 1 << 28
"""A table of this size is read, however small its file is."""

FACTOR = 100
"""A larger table may have this many times the size of its file."""

WIDTHS = {"BOOLEAN": 1, "INT32": 4, "FLOAT": 4, "INT64": 8, "DOUBLE": 8, "INT96": 12}
"""Bytes of a value, by physical type."""

WIDEST = max(WIDTHS.values())

REFERENCE_BYTES = 4
"""Of a reference to a text, or of the place where a text ends."""


def refuse_unfolding(
    file: pq.ParquetFile,
    size: int,
    columns: Collection[str],
    labels: Collection[str],
    reopen: Callable[[list[str]], pq.ParquetFile],
) -> None:
    """Check the size of the columns ``columns``, as they will be decoded from a file of ``size`` bytes.

    Args:
        file: opened, without any of its pages decoded.
        size: of the file, in bytes.
        columns: names of those to be read.
        labels: names of those that are kept as references to their different values.
        reopen: opens the file again, with other labels.

    Raises:
        BrokenFileError: they unfold to more than ``ALWAYS_BYTES``, and more than ``FACTOR`` times the file.
    """
    limit = max(ALWAYS_BYTES, FACTOR * size)
    every = list(_chunks(file.metadata))
    if sum(chunk.num_values * max(WIDEST, chunk.total_uncompressed_size) for chunk in every) <= limit:
        return  # whatever the columns hold: thousands of small files are read fast
    chunks = [chunk for chunk in every if chunk.path_in_schema.partition(".")[0] in columns]
    decoded = sum(map(_decoded_bytes, chunks))
    texts = [chunk for chunk in chunks if _refers_to_texts(chunk) and chunk.path_in_schema not in labels]
    if decoded <= limit < decoded + sum(chunk.num_values * chunk.total_uncompressed_size for chunk in texts):
        paths = sorted({chunk.path_in_schema for chunk in texts})
        decoded += _bytes_of_texts(reopen(paths), paths)
    if decoded > limit:
        raise BrokenFileError(
            f"a table of {size:,} bytes must unfold to at most {limit:,}, but unfolds to {decoded:,}"
        )


def _chunks(metadata: pq.FileMetaData) -> Iterator[pq.ColumnChunkMetaData]:
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        yield from map(group.column, range(group.num_columns))


def _decoded_bytes(chunk: pq.ColumnChunkMetaData) -> int:
    """Return the size of the values; of texts the size of the different ones, and of a reference to each."""
    width = WIDTHS.get(chunk.physical_type)
    if width is not None:
        return int(chunk.num_values * width)
    return int(chunk.total_uncompressed_size + chunk.num_values * REFERENCE_BYTES)


def _refers_to_texts(chunk: pq.ColumnChunkMetaData) -> bool:
    return chunk.physical_type not in WIDTHS and chunk.has_dictionary_page


def _bytes_of_texts(file: pq.ParquetFile, labels: list[str]) -> int:
    """Return the size of texts that are stored once and referred to, as if each reference were a text of its own."""
    total = 0
    for group in range(file.num_row_groups):
        table = file.read_row_group(group, columns=labels, use_threads=False)
        for array in (leaf for column in table.columns for chunk in column.chunks for leaf in _leaves(chunk)):
            lengths = pc.binary_length(array.dictionary).cast(pa.int64())
            total += pc.sum(lengths.take(array.indices)).as_py() or 0
    return total


def _leaves(array: pa.Array) -> Iterator[pa.DictionaryArray]:
    if pa.types.is_struct(array.type):
        for part in array.flatten():
            yield from _leaves(part)
    elif pa.types.is_list(array.type):
        yield from _leaves(array.flatten())
    elif pa.types.is_dictionary(array.type):
        yield array
