from .placement import Node as Node
from .placement import gang_capacity as gang_capacity
from .placement import gang_fault as gang_fault
from .placement import this_machine as this_machine
from .plan import Plan as Plan
from .plan import describe as describe
from .plan import make_plan as make_plan
from .plan import open_directory as open_directory
