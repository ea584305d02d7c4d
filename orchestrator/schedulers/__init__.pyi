from .early_stopping import EarlyStopping as EarlyStopping
from .early_stopping import compared_epochs as compared_epochs
from .halving import Halving as Halving
from .halving import Report as Report
from .halving import Rules as Rules
