from .remote_storage import open_storage as open_storage
from .retrying_storage import RetryingStorage as RetryingStorage
from .storage import LocalStorage as LocalStorage
from .storage import Storage as Storage
from .storage import StoredFile as StoredFile
