from .record import Phase as Phase
from .record import Record as Record
from .record import TrialContext as TrialContext
