from .record import Phase as Phase
from .record import Record as Record
