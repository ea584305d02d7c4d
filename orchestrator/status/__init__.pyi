from .opening import open_view as open_view
from .status import Status as Status
from .status import read_status as read_status
from .views import View as View
