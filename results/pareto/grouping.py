"""Grouping the rows of a frame by columns."""

from __future__ import annotations

from collections.abc import Hashable, Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from results.pareto.objectives import check_columns


def groups(frame: pd.DataFrame, names: tuple[str, ...]) -> Iterator[tuple[Hashable, NDArray[np.intp]]]:
    """Yield (value, row positions) for each value, or combination of values, of the columns ``names``.

    In ascending order, null last. Without names, all rows are one group with value None.

    Raises:
        UnknownColumnError: a name is no column.
    """
    if not names:
        yield None, np.arange(len(frame))
        return
    check_columns(names, frame)
    by = names[0] if len(names) == 1 else list(names)
    for value, rows in frame.groupby(by, observed=True, dropna=False).indices.items():
        yield value, np.asarray(rows, dtype=np.intp)
