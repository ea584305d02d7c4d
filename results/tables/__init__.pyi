from .front_file import refresh_front as refresh_front
from .run_tables import RunTables as RunTables
from .where import where_mask as where_mask
