"""Whole files in one step: on a local or NFS disk, on any ``pyarrow.fs`` file system, and with retries.

Here: bytes and paths. Not here: what the files of a run mean. Read first: ``storage.py``, which holds the interface.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
