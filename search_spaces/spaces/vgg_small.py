"""VGG-small for CIFAR: 128 - 128 - M - 256 - 256 - M - 512 - 512 - M, then a classifier; M is a 2x2 max pool.

The first 3x3 convolution, which is the stem, and the classifier are real, the five convolutions between them binary. There are no
shortcuts: the block is `plain-hardtanh`. 4.6 million parameters at 32x32 and 10 classes, of which 81,930 are the classifier's: it
sees each of the last 4x4 positions by itself.

Differences: IR-Net pools between a convolution and its batch norm, here the pool stands behind norm and Hardtanh, before the next
sign. Of given norms one can be written as the other wherever the norm's factor is positive; trained they are not alike, since
here most of what a sign reads behind a pool is positive (see `vgg-binarynet`). IR-Net has Hardtanh behind the stem, too, which
changes no sign.

References:
    Qin et al., "Forward and Backward Information Retention for Accurate Binary Neural Networks" (IR-Net), CVPR 2020, arXiv
    1909.10788, and its code.
"""

from search_spaces.space import SPACES, CellType, Chain, Role, SearchSpace, connect_all

VGG_SMALL = SPACES.register("vgg-small")(
    SearchSpace(
        name="vgg-small",
        summary="Reference network: VGG-small for CIFAR, 5 binary 3x3 convolutions, no shortcuts; one genotype.",
        cell_types=(
            CellType("stage-1"),
            CellType("down-2", Role.REDUCTION),
            CellType("stage-2"),
            CellType("down-3", Role.REDUCTION),
            CellType("stage-3"),
        ),
        edges=connect_all(nodes=1, operations=("conv-3x3",)),
        cells=5,
        channels=128,
        stem_multiplier=1,
        template="plain-hardtanh",
        chain=Chain.POOLED,
    )
)
