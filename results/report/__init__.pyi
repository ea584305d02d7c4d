from .sections import sections as sections
from .write import write_report as write_report
