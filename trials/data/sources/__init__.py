"""Where images come from: one file a source, none of which needs torch. Checks are cheap, reading is not.

Here: finding, checking and decoding files. Not here: batches, devices. Read first: ``sources.py``: every source is a
small immutable object that locates its files (``locate``), tells the size of its images (``image_shape``), and reads
them.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
