"""Cost: the formulas, against figures counted by hand."""

from search_spaces.cost import BareConvCost, ConvShape, Cost, Precision, Size, batch_norm_cost, linear_cost, prelu_cost

BINARY = Precision(weight_bits=1, activation_bits=1, scales_per_output=1)


def test_a_binary_convolution_counts_bops_and_packs_eight_weights_a_byte() -> None:
    """3x3, 4 -> 6 channels on 8x8: 216 weights, 64 positions, 27 bytes of bits and 6 scales of 4 bytes."""
    shape = ConvShape(in_channels=4, out_channels=6, kernel_size=3, padding=1)
    cost = BareConvCost(BINARY)(shape, Size(8, 8))
    assert cost == Cost(binary_parameters=216, float_parameters=6, flops=0, bops=216 * 64, packed_bytes=27 + 24)


def test_bits_are_rounded_up_to_whole_bytes_in_every_layer() -> None:
    shape = ConvShape(in_channels=1, out_channels=1, kernel_size=3, padding=1)
    assert BareConvCost(Precision(1, 1))(shape, Size(4, 4)).packed_bytes == 2


def test_real_activations_make_flops_of_binary_weights() -> None:
    shape = ConvShape(in_channels=2, out_channels=2, kernel_size=1)
    cost = BareConvCost(Precision(weight_bits=1, activation_bits=32))(shape, Size(3, 3))
    assert (cost.flops, cost.bops, cost.binary_parameters) == (36, 0, 4)


def test_groups_stride_and_dilation_are_counted() -> None:
    """Depthwise 5x5 with stride 2 on 8x8: 16 filters of 25 weights at 4x4 positions."""
    depthwise = ConvShape(in_channels=16, out_channels=16, kernel_size=5, stride=2, padding=2, groups=16)
    assert BareConvCost(Precision())(depthwise, Size(8, 8)).flops == 16 * 25 * 16
    dilated = ConvShape(in_channels=2, out_channels=2, kernel_size=3, padding=2, dilation=2)
    assert dilated.output_size(Size(8, 6)) == Size(8, 6)
    assert dilated.keeps_size


def test_ops_are_flops_plus_a_64th_of_bops() -> None:
    assert Cost(flops=10, bops=640).ops == 20


def test_float_parts_take_four_bytes_a_value() -> None:
    """Batch norm trains two values a channel and keeps four."""
    assert batch_norm_cost(10) == Cost(float_parameters=20, packed_bytes=160)
    assert prelu_cost(10) == Cost(float_parameters=10, packed_bytes=40)
    assert linear_cost(5, 3) == Cost(float_parameters=18, flops=15, packed_bytes=72)


def test_a_stride_rounds_the_size_up() -> None:
    assert Size(9, 7).strided(2) == Size(5, 4)
