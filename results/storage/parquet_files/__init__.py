"""Parquet files of a run: rows checked against the schema, small files, the compacted file, older versions.

Here: bytes to Arrow tables and back. Not here: which file belongs to which trial. Read first: ``parquet.py``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
