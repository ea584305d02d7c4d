"""What a trial stores to survive being killed at any time: checkpoints, progress rows, shared searches.

Here: what is stored, when, and how a trial resumes from it. Not here: paths and files (``results.storage``). Read
first: ``record.py``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
