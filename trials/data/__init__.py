"""The images of a trial: from the source that its configuration names to seeded batches on the device.

Here: reading, augmentation, order. Not here: training. Read first: ``loading.py``; a new source is one file in
``sources/``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
