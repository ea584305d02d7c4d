"""The images of a trial: from a source on disk to seeded, augmented batches on the device.

Here: loading, augmentation, batches. Not here: training. Read first: ``loading.py``, then ``batches.py``. A new image
source is one file in ``sources/``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
