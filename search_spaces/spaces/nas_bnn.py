"""Searched layers in the way of NAS-BNN: kernel, groups and width of every layer, and whether the last of a stage is there.

A chain of nine layers in three stages. A layer is a k x k convolution and a 1x1 convolution, both binary, each with its shortcut:
k is 3 or 5, the first in four groups or in one, and between the two there are as many channels as around them or twice as many
(`convolutions.MobileConv`). The third layer of a stage may be left out (`skip`), the first two may not, so a stage has a
depth of 2 or 3. First convolution and classifier are real. 8^6 9^3 genotypes, no two of which are the same network.

Every layer is a cell type with one edge, so its arms are settings of that layer alone, and what a network costs is the sum of
what its layers cost. That is why widths are searched inside of layers: the channels between layers, which two neighbours
share, are settings. They double at each stage, so that they never decrease. docs/adr/0023 has the reasons.

A stage begins with 2x2 means, the channels twice side by side, which is what the shortcut of a strided convolution does, too.
No weights are there, and its first layer works at the stage's width and size. In a supernet every arm has weights of its own.

What NAS-BNN has otherwise, by its paper's summary and its code:

    channels             three widths a stage, searched for every layer, never decreasing; here `channels`, doubled twice
    stages               five, of 2-3, 2-3, 2-3, 8-9 and 2-3 layers, behind a stem of three widths (8-bit weights, stride 2);
                         here three of 2-3 behind a real stem of one width, for images of 8 to 64 pixels
    kernels              3 alone in the first stage; here 3 or 5 in every stage
    groups               1; 1 or 2; 2 or 4; 4 or 8; 8 or 16, by stage; here 1 or 4 in every stage
    strides              of the k x k convolution, at the width of the stage before; widened by the 1x1 convolution
    supernet             one weight for all widths, kernels and groups, sliced out of the largest (5x5 to 3x3 by a learnt matrix);
                         the largest network with real weights teaches the smaller ones; here neither
    block                sign with learnt thresholds, convolution, batch norm, plus shortcut, RPReLU: the template `bi-real` with
                         the method `react-net`; here the default of cells, which has a norm before the sign, too: it learnt
                         faster (docs/adr/0023)
    search               evolution under limits on operations: here any strategy, any limits

So its 68.2 % on ImageNet at 57 M operations are not to be expected from this space. With more `cells` a type that is no reduction
stands for several layers in a row, of the same operation, each with weights of its own.

References:
    Lin et al., "NAS-BNN: Neural Architecture Search for Binary Neural Networks", 2024, arXiv 2408.15484; code:
    github.com/VDIGPKU/NAS-BNN.
"""

from search_spaces.space import SKIP, SPACES, CellType, Chain, Role, SearchSpace, connect_all

LAYERS = (
    "mobile-conv-3x3",
    "mobile-conv-5x5",
    "mobile-grouped-conv-3x3",
    "mobile-grouped-conv-5x5",
    "wide-mobile-conv-3x3",
    "wide-mobile-conv-5x5",
    "wide-mobile-grouped-conv-3x3",
    "wide-mobile-grouped-conv-5x5",
)

NAS_BNN = SPACES.register("nas-bnn")(
    SearchSpace(
        name="nas-bnn",
        summary="After NAS-BNN: 9 layers, 8 blocks a layer (kernel, groups, width), the last of each of 3 stages optional.",
        cell_types=(
            CellType("stage-1-a", required=True),
            CellType("stage-1-b", required=True),
            CellType("stage-1-c"),
            CellType("stage-2-a", Role.REDUCTION, required=True),
            CellType("stage-2-b", required=True),
            CellType("stage-2-c"),
            CellType("stage-3-a", Role.REDUCTION, required=True),
            CellType("stage-3-b", required=True),
            CellType("stage-3-c"),
        ),
        edges=connect_all(nodes=1, operations=(*LAYERS, SKIP)),
        cells=9,
        channels=16,
        stem_multiplier=1,
        chain=Chain.AVERAGED,
    )
)
