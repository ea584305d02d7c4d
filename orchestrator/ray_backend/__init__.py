"""Everything that knows Ray: the session, gangs of workers, questions to nodes, adapters for Ray Tune.

Here: the only imports of ray. Not here: decisions; those are the conductor's. Read first: ``tune_adapters.py``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
