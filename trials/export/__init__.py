"""Taking a point away: a folder with a ``torch.export`` program, or ONNX, that needs nothing of this project.

Here: programs and their papers. Not here: how a point was measured (``trials.ladder``). Read first: ``export.py``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
