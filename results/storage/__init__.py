"""The files of a run: written atomically, checked when read, quarantined when broken.

Here: the only code that opens a run's files. Not here: questions about their content. Read first:
``run_directory.py``, then ``checked_files.py`` and ``trial_files.py``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
