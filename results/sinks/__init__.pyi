from .background import following as following
from .follower import Follower as Follower
from .opening import open_sinks as open_sinks
from .sink import Scalar as Scalar
from .sink import Sink as Sink
from .sink import Trial as Trial
