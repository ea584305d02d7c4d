"""From Arrow tables to data frames, and columns for swept fields of the configuration."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

import pandas as pd
import pyarrow as pa

from results.schema import column_of_path

_NULLABLE = {pa.int32(): pd.Int32Dtype(), pa.int64(): pd.Int64Dtype()}


def to_frame(table: pa.Table) -> pd.DataFrame:
    """Return a table as a data frame.

    Labels become categoricals, text ``str``, times ``datetime64[us, UTC]``, nullable integers ``Int64`` or ``Int32``,
    real numbers float64 with null as NaN, lists ``ArrowDtype``.
    """
    special = {  # pandas would make float64 of integers with nulls, and objects of lists
        field.name: _NULLABLE.get(field.type) or pd.ArrowDtype(field.type)
        for field in table.schema
        if pa.types.is_list(field.type) or (field.nullable and field.type in _NULLABLE)
    }
    plain = table.select([name for name in table.column_names if name not in special])
    frame = plain.to_pandas(split_blocks=True)
    columns = {name: frame[name] for name in plain.column_names}
    for name, dtype in special.items():
        columns[name] = table.column(name).to_pandas(types_mapper=lambda _, dtype=dtype: dtype)
    return pd.DataFrame({name: columns[name] for name in table.column_names}, copy=False)


def with_fields(frame: pd.DataFrame, paths: Iterable[str]) -> pd.DataFrame:
    """Add a column for each field of the configuration, a dotted path, that has none yet.

    The values come from the column ``config``; they are null where a configuration lacks the field.
    """
    missing = {column_of_path(path): path for path in paths if column_of_path(path) not in frame.columns}
    if not missing:
        return frame
    config = frame["config"].astype("category")
    configs = [json.loads(text) for text in config.cat.categories]
    codes = config.cat.codes.to_numpy()
    added = {}
    for name, path in missing.items():
        values = pd.Series([_field(content, path) for content in configs], dtype=object)
        added[name] = _narrowed(values).reindex(codes).set_axis(frame.index)
    return frame.assign(**added)


def computed(frame: pd.DataFrame, name: str) -> pd.Series | None:
    """Return the values of a name that is no column of the points, but can be had from them; None if it cannot.

    ``gap`` is what tables show beside ``accuracy``: how much higher it is than ``test_accuracy``. The dotted path of a
    field is that field of the configuration.
    """
    if name == "gap" and {"accuracy", "test_accuracy"} <= set(frame.columns):
        return (frame["accuracy"] - frame["test_accuracy"]).rename(name)
    path = name.removeprefix("trial.")
    if "." not in path or "config" not in frame.columns:
        return None
    if not any(_has_field(json.loads(text), path) for text in frame["config"].unique()):
        return None
    return with_fields(frame[["config"]], [path])[column_of_path(path)]


def _has_field(config: object, path: str) -> bool:
    for part in path.split("."):
        if not isinstance(config, Mapping) or part not in config:
            return False
        config = config[part]
    return True


def _field(config: Mapping[str, object], path: str) -> bool | float | str | None:
    """Return the value of a field; lists and mappings as JSON text."""
    value: object = config
    for part in path.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return None
        value = value[part]
    return value if value is None or isinstance(value, (bool, int, float, str)) else json.dumps(value)


def _narrowed(values: pd.Series) -> pd.Series:
    """Return the values of one field with the narrowest type that holds them all."""
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {bool}:
        return values.astype("boolean")
    if kinds <= {int}:
        return values.astype("Int64")
    if kinds <= {int, float}:
        return values.astype("float64")
    texts = [value if value is None or isinstance(value, str) else str(value) for value in values]
    return pd.Series(texts, dtype="category")
