from .follower import Follower as Follower
from .follower import Scalar as Scalar
from .follower import Sink as Sink
from .follower import Trial as Trial
from .following import following as following
from .opening import open_sinks as open_sinks
