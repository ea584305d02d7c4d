from .compacted_file import CompactedFile as CompactedFile
from .parquet import read_large as read_large
from .parquet import read_many as read_many
from .parquet import read_small as read_small
from .rows import table_from_rows as table_from_rows
from .schema_cast import ColumnSelection as ColumnSelection
