"""ResNet-20 for CIFAR in Bi-Real form.

The stem and eighteen binary 3x3 convolutions in three stages of 16, 32 and 64 channels, each with a shortcut of its own. No
shortcut has weights: where size and width change it is the 2x2 mean, its channels twice side by side. He et al. take every second
pixel there and fill up with zeros (their option A, no weights either); both leave the network its 0.27 million parameters.
First convolution and classifier are real.

With 6 n convolutions (`cells`) it is ResNet-(6 n + 2): 30 make ResNet-32, 54 ResNet-56. The template `bi-real-projection` puts
real 1x1 convolutions into the two shortcuts.

Differences: as in `resnet-18`. IR-Net's network has option A, Hardtanh where a PReLU stands here and behind the stem, and a batch
norm before the classifier.

References:
    He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, arXiv 1512.03385, section 4.2;
    Liu et al., "Bi-Real Net", ECCV 2018, arXiv 1808.00278; Qin et al., "Forward and Backward Information Retention for Accurate
    Binary Neural Networks" (IR-Net), CVPR 2020, arXiv 1909.10788, and its code.
"""

from search_spaces.space import SPACES, CellType, Chain, Role, SearchSpace, connect_all

RESNET_20 = SPACES.register("resnet-20")(
    SearchSpace(
        name="resnet-20",
        summary="Reference network: ResNet-20 for CIFAR in Bi-Real form, 18 binary 3x3 convolutions; one genotype.",
        cell_types=(
            CellType("stage-1"),
            CellType("down-2", Role.REDUCTION),
            CellType("stage-2"),
            CellType("down-3", Role.REDUCTION),
            CellType("stage-3"),
        ),
        edges=connect_all(nodes=1, operations=("conv-3x3",)),
        cells=18,
        channels=16,
        stem_multiplier=1,
        template="bi-real",
        chain=Chain.STRIDED,
    )
)
