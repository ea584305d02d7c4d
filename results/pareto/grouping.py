"""The rows of a frame, group by group."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from results.pareto.objectives import checked_columns


def groups(frame: pd.DataFrame, names: tuple[str, ...]) -> Iterator[tuple[Any, NDArray[np.intp]]]:
    """Yield (value, places of its rows) for each value, or combination of values, of the columns ``names``.

    In ascending order, null last; without names, all rows are one group. Error: ``UnknownColumnError``.
    """
    if not names:
        yield None, np.arange(len(frame))
        return
    checked_columns(names, frame)
    by = names[0] if len(names) == 1 else list(names)
    for value, rows in frame.groupby(by, observed=True, dropna=False).indices.items():
        yield value, np.asarray(rows, dtype=np.intp)
