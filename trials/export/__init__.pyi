from .export import PointError as PointError
from .export import export_point as export_point
from .export import find_point as find_point
from .export import images_of_test as images_of_test
from .export import load_exported as load_exported
from .onnx_export import OnnxError as OnnxError
