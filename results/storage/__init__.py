"""The files of a run: how they are written in one step, read, checked and repaired.

Here: the only code that opens a run's files. Not here: questions about what they hold. Read first:
``run_directory.py``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
