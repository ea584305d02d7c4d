from .compute import Compute as Compute
from .parallel import Mesh as Mesh
from .parallel import joined as joined
from .parallel import local_device as local_device
