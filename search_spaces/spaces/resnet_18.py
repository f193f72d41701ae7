"""ResNet-18 in Bi-Real form: the network that most figures of 1-bit networks on ImageNet are of.

The stem and sixteen binary 3x3 convolutions in four stages of 64, 128, 256 and 512 channels, each with a shortcut of its own:
ResNet's blocks of two convolutions are two blocks of one. In the three shortcuts that change size and width stand a 2x2 mean, a
real 1x1 convolution and a batch norm. First convolution and classifier are real.

The stem is `small`, for CIFAR; for images of 224 pixels it is a setting:

    {"name": "resnet-18", "settings": {"stem": "large"}}

Parameters without the 3,840 slopes of the PReLUs, which the original has no match for: 11,689,512 with the large stem and 1,000
classes, 11,173,962 with the small one and 10. Operations for one image of 224 pixels: 1.68e9 BOPs and 1.38e8 FLOPs, 1.64e8 OPs;
ReActNet's README gives Bi-Real Net's as 1.63e8. Depths other than 16 convolutions (`cells`) divide into four even stages, so
ResNet-34, whose stages are uneven, is none of them.

Differences: with `pad_value` -1 the border is binary; the authors pad zeros behind the sign. A PReLU follows every block, where
Bi-Real Net has none and ReActNet an RPReLU.

References:
    He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, arXiv 1512.03385;
    Liu et al., "Bi-Real Net", ECCV 2018, arXiv 1808.00278; Liu et al., "ReActNet", ECCV 2020, arXiv 2003.03488, and their code.
"""

from search_spaces.space import SPACES, CellType, Chain, Role, SearchSpace, connect_all

RESNET_18 = SPACES.register("resnet-18")(
    SearchSpace(
        name="resnet-18",
        summary="Reference network: ResNet-18 in Bi-Real form, 16 binary 3x3 convolutions, real 1x1 shortcuts; one genotype.",
        cell_types=(
            CellType("stage-1"),
            CellType("down-2", Role.REDUCTION),
            CellType("stage-2"),
            CellType("down-3", Role.REDUCTION),
            CellType("stage-3"),
            CellType("down-4", Role.REDUCTION),
            CellType("stage-4"),
        ),
        edges=connect_all(nodes=1, operations=("conv-3x3",)),
        cells=16,
        channels=64,
        stem_multiplier=1,
        template="bi-real-projection",
        chain=Chain.STRIDED,
    )
)
