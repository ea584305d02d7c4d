from .batches import Batch as Batch
from .batches import Batches as Batches
from .batches import split_halves as split_halves
from .image_set import ImageReader as ImageReader
from .image_set import Images as Images
from .image_set import ImageSet as ImageSet
from .loading import load_images as load_images
from .sources.errors import DataError as DataError
