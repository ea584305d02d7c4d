from .compute import Compute as Compute
from .parallel import Mesh as Mesh
from .parallel import local_device as local_device
from .parallel import process_group as process_group
