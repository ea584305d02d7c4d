"""What can be built: spaces, primitives, cells, output node, supernet, genotype, discrete network.

Here: modules and what they compute. Not here: data, training, files, Ray. Read first: ``space.py``, ``output_node.py``,
then ``supernet/supernet.py``. Names are loaded on first use: ``search_space.space`` checks a sweep file without torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
