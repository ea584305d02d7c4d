"""What a trial keeps, so that it can be killed at any time: checkpoints, progress rows, shared searches.

Here: when and what is stored, and how it is taken up again. Not here: paths (``results.storage``). Read first:
``record.py``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
