"""VGG-small for CIFAR: 128 - 128 - M - 256 - 256 - M - 512 - 512 - M, then a classifier; M is a 2x2 max pool.

The first 3x3 convolution, which is the stem, and the classifier are real, the five convolutions between them binary. There are no
shortcuts: the block is `plain-hardtanh`. 4.6 million parameters at 32x32 and 10 classes, of which 81,930 are the classifier's: it
sees each of the last 4x4 positions by itself.

The pools stand between convolution and batch norm, as in the authors' codes. Where they stand decides whether it learns: behind
the norm nine in ten values that a sign reads after a pool are positive at the start, and BNN stays at chance (digits, 16
channels, 8 epochs, three seeds: 7.5 % of the validation images are right). Before the norm one in two are, and 86 %.

Differences: IR-Net has Hardtanh behind the stem, too, which changes no sign.

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
