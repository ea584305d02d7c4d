from .errors import LaunchError as LaunchError
from .errors import OrchestratorError as OrchestratorError
from .errors import SweepError as SweepError
from .launch import launch as launch
from .sweep.sweep import Sweep as Sweep
