"""7x7 dense convolution: padding, template, binarization and cost come from `DenseConv`."""

from search_spaces.convolutions import DenseConv
from search_spaces.operation import OPERATIONS


@OPERATIONS.register("conv-7x7")
class Conv7x7(DenseConv):
    """One 7x7 convolution over all channels."""

    summary = "7x7 dense convolution"
    kernel_size = 7


if __name__ == "__main__":
    from api.cli import app

    words = ["train-local", "--space", "tiny", "--method", "bnn", "--epochs", "2", "-o", "conv-7x7.zip"]
    app([*words, "--set", 'space.settings.operations=["conv-7x7", "skip", "max-pool-3x3"]'], standalone_mode=False)
    app(["evaluate", "conv-7x7.zip"], standalone_mode=False)
