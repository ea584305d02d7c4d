from .config.trial import TrialConfig as TrialConfig
from .context import TrialContext as TrialContext
from .cost.cost import Cost as Cost
from .cost.cost import count_cost as count_cost
from .errors import CheckpointError as CheckpointError
from .errors import InfeasibleError as InfeasibleError
from .errors import TrialError as TrialError
from .trial import run_trial as run_trial
