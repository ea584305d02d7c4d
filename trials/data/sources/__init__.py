"""Image sources, one per file. They do not need torch.

Here: finding, downloading, checking and decoding files. Not here: batches, devices. Read first: ``sources.py``, then
``arrays.py`` with the interface of most sources.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
