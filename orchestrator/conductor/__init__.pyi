from .capacity import Capacity as Capacity
from .conductor import Conductor as Conductor
from .lease import HeldError as HeldError
from .lease import Holder as Holder
from .lease import holding as holding
from .lease import refuse_held as refuse_held
from .monitor import Monitor as Monitor
from .monitor import Running as Running
