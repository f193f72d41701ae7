"""The fixed architecture on which benchmarks look at binarization methods: most of its weights are in 3x3 binary convolutions.

A random path of a small space may have none, and methods that differ in what they do within a kernel are then all alike. Of the
six edges four are dilated 3x3 convolutions, one is a skip and one a max-pool; with 48 channels it has 223,488 binary weights,
207,360 of them in kernels of 3x3.
"""

from search_spaces.genotype import Genotype
from search_spaces.space import SPACES

SPACE = "tiny"
CONV_RICH: Genotype = SPACES.get(SPACE).genotype(
    {
        ("a", "0-1"): "dilated-conv-3x3",
        ("a", "0-2"): "skip",
        ("a", "1-2"): "dilated-conv-3x3",
        ("b", "0-1"): "dilated-conv-3x3",
        ("b", "0-2"): "dilated-conv-3x3",
        ("b", "1-2"): "max-pool-3x3",
    }
)
