"""What the points of several runs tell about their images: measurements on different images cannot be compared."""

from __future__ import annotations

import pandas as pd


def data_remarks(points: pd.DataFrame) -> list[str]:
    """Return a line if the points of several runs are of different images, and one if that is unknown of some.

    Args:
        points: with the columns ``run``, ``data`` (the source) and ``data_fingerprint``.

    >>> points = pd.DataFrame({"run": ["a", "b"], "data": ["digits", "csv"], "data_fingerprint": ["1f", "2e"]})
    >>> data_remarks(points)[0]
    'accuracies on different images or labels are not comparable: a has digits (1f); b has csv (2e)'
    """
    named = points[["run", "data", "data_fingerprint"]].astype(object).drop_duplicates()
    rows = list(named.where(named.notna(), None).itertuples(index=False, name=None))
    remarks = []
    if len({data for _, data, _ in rows}) > 1 or len({print_ for _, _, print_ in rows if print_}) > 1:
        found = "; ".join(f"{run} has {data}{f' ({print_})' if print_ else ''}" for run, data, print_ in rows)
        remarks.append(f"accuracies on different images or labels are not comparable: {found}")
    elif unknown := [run for run, _, print_ in rows if print_ is None]:
        remarks.append(
            f"{', '.join(unknown)} stored no fingerprint of the images (an older version): nothing tells whether they "
            "are those of the other runs"
        )
    return remarks
