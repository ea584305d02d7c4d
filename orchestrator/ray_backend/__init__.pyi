from .cluster import living_nodes as living_nodes
from .cluster import ray_session as ray_session
from .gang import GangError as GangError
from .job import Job as Job
