"""Where else people look at runs: TensorBoard and MLflow, each an extra of the package."""

from results.sinks.follower import Follower, Scalar, Sink, Trial
from results.sinks.following import following
from results.sinks.opening import open_sinks

__all__ = ["Follower", "Scalar", "Sink", "Trial", "following", "open_sinks"]
