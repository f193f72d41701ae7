"""BinaryNet's VGG for CIFAR: 2x128 - M - 2x256 - M - 2x512 - M - 1024FC - 1024FC, then a classifier; M is a 2x2 max pool.

It is `vgg-small` with two fully connected layers before the classifier. A fully connected layer has 8 x `channels` outputs, so
`channels` scales the whole network. At 32x32 and 10 classes the published network has 14,022,016 weights, and so has this one:

    first convolution, the stem                  3 128 9                                                       3,456   real
    five convolutions      9 (128 128 + 128 256 + 256 256 + 256 512 + 512 512)                             4,571,136   binary
    fully connected        512 4 4 1024 + 1024 1024                                                        9,437,184   binary
    classifier                                   1024 10                                                      10,240   real

Beside them stand batch norms and the classifier's biases. The first fully connected layer sees each of the last positions by
itself, so its size follows the images': 8x8 pixels leave one position, 32x32 sixteen, and 224x224 with the stem `large` 49.

Differences: stem and classifier are real, as everywhere here; the authors binarize their weights, and what enters the classifier,
which here is what Hardtanh leaves. Behind the last layer the authors have a batch norm, and every layer of theirs has a bias;
here the last has a bias and no norm, the others a norm and no bias. They pad zeros, here binary convolutions pad with -1. Their
code for PyTorch has three times the channels in all convolutions but the last.

References:
    Courbariaux, Hubara, Soudry, El-Yaniv, Bengio, "Binarized Neural Networks: Training Deep Neural Networks with Weights and
    Activations Constrained to +1 or -1", 2016, arXiv 1602.02830. Code: github.com/MatthieuCourbariaux/BinaryNet (Theano),
    github.com/itayhubara/BinaryNet.pytorch.
"""

from dataclasses import replace

from search_spaces.space import SPACES
from search_spaces.spaces.vgg_small import VGG_SMALL

VGG_BINARYNET = SPACES.register("vgg-binarynet")(
    replace(
        VGG_SMALL,
        name="vgg-binarynet",
        summary="Reference network: BinaryNet's VGG for CIFAR, 5 binary 3x3 convolutions, 2 binary fully connected layers; "
        "one genotype.",
        hidden_multipliers=(8, 8),
    )
)
