"""Export of a point: a folder with a ``torch.export`` or ONNX program that runs without this project.

Here: programs, model cards, weights. Not here: the measurement of a point (``trials.ladder``). Read first:
``export.py``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
