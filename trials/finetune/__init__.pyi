from .finetuning import Finetuning as Finetuning
from .straight_through import quantized_weights as quantized_weights
from .straight_through import straight_through as straight_through
