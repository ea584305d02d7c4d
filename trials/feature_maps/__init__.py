"""Feature-map sparsity: maps are regularized in training, and pruned and quantized at inference.

Here: the lambda term, quantizers, the deployed form of a network. Not here: codecs (``trials.coding``), the evaluation
of rungs (``trials.ladder``). Read first: ``regularization.py``, then ``quantization.py``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
