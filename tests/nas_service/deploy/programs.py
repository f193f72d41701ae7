"""Programs made by hand: together they have every operation, and widths whose bits end in the middle of a byte or a word."""

from collections.abc import Callable, Sequence

import numpy as np

from nas_service.deploy.pointwise import Floats, Kind, Pointwise
from nas_service.deploy.program import (
    Add,
    AvgPool,
    BinaryConv,
    Concat,
    Flatten,
    Gather,
    GlobalMean,
    GroupMean,
    Linear,
    Magnitude,
    MaxPool,
    NonLocalMean,
    Operation,
    Program,
    RealConv,
    Shape,
    Stem,
    Step,
    TimesGroup,
    Window,
)

_THREE = Window(3, 1, 1)
_PIXEL_BITS = 14


class Maker:
    """Adds steps to a program; each returns the number of the map it makes."""

    def __init__(self, image: Shape, seed: int = 0) -> None:
        self._image, self._steps = image, list[Step]()
        self.random = np.random.default_rng(seed)

    def shape(self, at: int) -> Shape:
        return self._steps[at].shape

    def add(self, operation: Operation, inputs: Sequence[int], shape: Shape) -> int:
        self._steps.append(Step(operation, tuple(inputs), shape, f"{type(operation).__name__} {len(self._steps)}"))
        return len(self._steps) - 1

    def normal(self, channels: int, spread: float = 1.0, middle: float = 0.0) -> Floats:
        return (self.random.normal(size=channels) * spread + middle).astype(np.float32)

    def _under(self, window: Window, shape: Shape, channels: int) -> Shape:
        reach = window.dilation * (window.size - 1) + 1
        sides = [(side + 2 * window.padding - reach) // window.stride + 1 for side in (shape.height, shape.width)]
        return Shape(sides[0], sides[1], channels)

    def stem(self, channels: int, window: Window = _THREE) -> int:
        weight = self.random.integers(-(2**16), 2**16, (channels, window.size, window.size, self._image.channels))
        mean = self.random.integers(90, 160, self._image.channels) << _PIXEL_BITS
        stem = Stem(weight, mean, np.full(channels, 2.0**-34, np.float32), _PIXEL_BITS, window)
        return self.add(stem, (), self._under(window, self._image, channels))

    def int8_stem(self, channels: int, window: Window = _THREE) -> int:
        """Add a stem with weights of 8 bits, both ends among them, whose pixels have 11 bits behind a level."""
        weight = self.random.integers(-127, 128, (channels, window.size, window.size, self._image.channels))
        weight[0], weight[1] = -127, 127
        mean = self.random.integers(90 << 11, 160 << 11, self._image.channels)
        step = self.normal(channels, 1e-6, 1e-5)
        return self.add(Stem(weight, mean, step, 11, window, is_int8=True), (), self._under(window, self._image, channels))

    def conv(self, at: int, channels: int, window: Window = _THREE, groups: int = 1, **more: object) -> int:
        """Add a binary convolution; `more`: pads_plus, sums (whether), planes (of factors of positions)."""
        bits = self.random.integers(0, 2, (channels, window.size, window.size, self.shape(at).channels // groups)) > 0
        sums = (self.normal(channels), self.normal(channels, 0.3), self.normal(channels)) if more.get("sums") else None
        planes = more.get("planes", 0)
        assert isinstance(planes, int)
        scales = np.abs(self.random.normal(size=(planes, window.size, window.size))).astype(np.float32) if planes else None
        conv = BinaryConv(bits, groups, window, bool(more.get("pads_plus")), sums, scales)
        return self.add(conv, (at,), self._under(window, self.shape(at), channels))

    def point(self, at: int, kind: Kind, *constants: Floats) -> int:
        return self.add(Pointwise(kind, constants), (at,), self.shape(at))

    def norm(self, at: int, offset: float = 1.0) -> int:
        """Add a norm; about one factor in six is below 0, and one is 0."""
        channels = self.shape(at).channels
        factor = self.normal(channels, 0.7, 0.7)
        factor[self.random.integers(channels)] = 0
        return self.point(at, Kind.AFFINE, factor, self.normal(channels, offset))

    def prelu(self, at: int) -> int:
        """Add a PReLU; about one slope in four is below 0."""
        return self.point(at, Kind.PRELU, self.normal(self.shape(at).channels, 0.3, 0.2))

    def join(self, left: int, right: int) -> int:
        return self.add(Add(), (left, right), self.shape(left))

    def pool(self, at: int, operation: MaxPool | AvgPool, *, rounds_up: bool = False) -> int:
        window, shape = operation.window, self.shape(at)
        wider = window.stride - 1 if rounds_up else 0
        sides = [(side + 2 * window.padding - window.size + wider) // window.stride + 1 for side in (shape.height, shape.width)]
        return self.add(operation, (at,), Shape(sides[0], sides[1], shape.channels))

    def finish(self, at: int, classes: int = 2, *, flat: bool = False, is_int8: bool = False) -> Program:
        """Add a mean or a flattening, and the classifier, with weights of 8 bits or without."""
        shape = self.shape(at)
        features = shape.floats if flat else shape.channels
        at = self.add(Flatten() if flat else GlobalMean(), (at,), Shape(1, 1, features))
        weight = self.random.normal(size=(classes, features)).astype(np.float32)
        linear = Linear(weight, self.normal(classes))
        if is_int8:
            step = np.abs(weight).max(1) / np.float32(127)
            linear = Linear(np.rint(weight / step[:, None]) * step[:, None], linear.bias, step)
        self.add(linear, (at,), Shape(1, 1, classes))
        return Program(self._image, tuple(self._steps), tuple(f"class {number}" for number in range(classes)))


def conv_chain(channels: int, layers: int, size: int = 8, *, pads_plus: bool = False, prelu: bool = False) -> Program:
    """Return 3x3 binary convolutions, each with its norm (and PReLU), one behind another: between them are bits alone."""
    maker = Maker(Shape(size, size, 1))
    at = maker.stem(channels, Window(1, 1, 0))
    for _ in range(layers):
        at = maker.conv(at, channels, pads_plus=pads_plus)
        at = maker.norm(maker.prelu(at) if prelu else at, 20.0)
    return maker.finish(at)


def bits_program() -> Program:
    """Return a program of bits to bits: every width with every padding, falling factors and slopes, pools, groups, depthwise."""
    maker = Maker(Shape(23, 19, 1), 1)
    at = maker.norm(maker.stem(16))
    for place, channels in enumerate((16, 24, 32, 48, 64, 128)):
        for padding, pads_plus in ((1, False), (1, True), (0, False)):
            at = maker.conv(at, channels, Window(3, 1, padding), pads_plus=pads_plus)
            at = maker.norm(maker.prelu(at) if (place + padding + pads_plus) % 3 else at)
    for channels in (12, 20):
        at = maker.norm(maker.prelu(maker.conv(at, channels, pads_plus=channels == 20)))
    at = maker.norm(maker.conv(at, 96, Window(1, 1, 0)))
    at = maker.norm(maker.prelu(maker.conv(at, 96, Window(3, 1, 1), 3)))
    at = maker.norm(maker.conv(at, 96, Window(3, 1, 1), 96, pads_plus=True))
    at = maker.norm(maker.conv(at, 32, Window(3, 1, 2, 2), 2, pads_plus=True))
    at = maker.norm(maker.pool(maker.conv(at, 40), MaxPool(Window(3, 2, 1))))
    at = maker.norm(maker.conv(at, 24, Window(3, 2, 1)))
    at = maker.norm(maker.pool(maker.conv(at, 29, Window(1, 1, 0)), MaxPool(Window(2, 2, 0)), rounds_up=True))
    at = maker.norm(maker.conv(at, 29, Window(5, 1, 2), 29))
    return maker.finish(maker.norm(maker.conv(at, 21)), flat=True)


def floats_program() -> Program:
    """Return a program with every other operation: sums, factors of positions, magnitudes, cells, pools, real convolutions."""
    maker = Maker(Shape(7, 5, 3), 2)
    first = maker.norm(maker.stem(20))
    left = maker.norm(maker.conv(first, 20, sums=True))
    right = maker.norm(maker.conv(first, 20, Window(3, 1, 1), 20, sums=True, pads_plus=True))
    at = maker.join(maker.prelu(left), right)
    at = maker.norm(maker.join(maker.conv(at, 20, Window(3, 1, 1), 2, sums=True), at))
    scaled = maker.norm(maker.conv(at, 20, Window(3, 1, 1), planes=4), 1.0)
    grouped = maker.norm(maker.conv(at, 20, Window(3, 1, 1), 5, planes=1, pads_plus=True), 1.0)
    wide = maker.add(Concat(), (scaled, grouped, at), Shape(7, 5, 60))
    index = np.append(maker.random.permutation(60)[:58], [-1, 3])
    wide = maker.add(Gather(index), (wide,), Shape(7, 5, 60))
    at = maker.add(GroupMean(3), (wide,), Shape(7, 5, 20))
    at = _magnified(maker, maker.add(NonLocalMean(1e-12), (at,), maker.shape(at)))
    at = maker.join(maker.pool(at, MaxPool(Window(3, 1, 1))), maker.pool(at, AvgPool(Window(3, 1, 1))))
    at = maker.join(at, at)
    at = maker.pool(at, AvgPool(Window(2, 2, 0)), rounds_up=True)
    weight = maker.random.normal(size=(20, 3, 3, 5)).astype(np.float32)
    at = maker.norm(maker.add(RealConv(weight, 4, Window(3, 1, 1)), (at,), maker.shape(at)))
    at = maker.point(at, Kind.MAXOUT, maker.normal(20), maker.normal(20))
    at = maker.norm(maker.conv(maker.point(at, Kind.SUBTRACT, maker.normal(20)), 17), 1.0)
    at = maker.point(maker.point(at, Kind.NEGATE), Kind.CLIP, np.full(17, -1, np.float32), np.full(17, 1.5, np.float32))
    return maker.finish(maker.point(at, Kind.RELU), classes=7)


def _magnified(maker: Maker, at: int) -> int:
    """Add a convolution times the magnitudes that it saw, by group."""
    conv = maker.point(maker.conv(at, 20, Window(3, 1, 1), 2), Kind.MULTIPLY, maker.normal(20))
    shape = maker.shape(conv)
    small = maker.add(Magnitude(2, Window(3, 1, 1)), (at,), Shape(shape.height, shape.width, 2))
    return maker.norm(maker.add(TimesGroup(), (conv, small), shape))


def depthwise_program() -> Program:
    """Return a program whose stored signs are read by depthwise convolutions of every kind, and by two readers at once."""
    maker = Maker(Shape(9, 5, 1), 3)
    at = maker.norm(maker.conv(maker.norm(maker.stem(16)), 20))
    for window, more in (
        (Window(9, 1, 4), {}),
        (Window(3, 1, 1), {"planes": 1}),
        (Window(3, 1, 1), {"sums": True, "pads_plus": True}),
    ):
        at = maker.norm(maker.conv(at, 20, window, 20, **more))
        at = maker.norm(maker.conv(maker.norm(maker.conv(at, 28, Window(1, 1, 0))), 20))
    at = maker.norm(maker.conv(at, 40, Window(3, 1, 1), 20))  # two outputs a channel
    at = maker.norm(maker.conv(at, 24, Window(3, 1, 1)))
    at = maker.join(maker.conv(at, 24, Window(3, 1, 1), 3), maker.conv(at, 24, Window(3, 1, 1), planes=2))
    return maker.finish(maker.norm(at))


def int8_program() -> Program:
    """Return a program with weights of 8 bits in stem and classifier: a number of outputs that fills no lanes, and signs."""
    maker = Maker(Shape(9, 7, 3), 5)
    at = maker.prelu(maker.norm(maker.int8_stem(22, Window(3, 2, 1))))
    at = maker.join(maker.norm(maker.conv(at, 22)), at)
    return maker.finish(maker.prelu(at), classes=7, is_int8=True)


def shrinking_program() -> Program:
    """Return a program whose largest maps are written over by what shrinks them, after their signs were taken."""
    maker = Maker(Shape(17, 17, 1), 6)
    at = maker.prelu(maker.norm(maker.stem(20)))
    small = maker.add(GroupMean(2), (at,), Shape(17, 17, 10))
    at = maker.prelu(maker.join(maker.norm(maker.conv(at, 10, Window(1, 1, 0))), small))
    at = maker.prelu(maker.norm(maker.conv(at, 20)))
    for pool, back in (
        (AvgPool(Window(2, 1, 0)), Window(2, 1, 1)),
        (MaxPool(Window(3, 2, 1)), Window(1, 1, 4)),
        (AvgPool(Window(2, 2, 0)), Window(2, 1, 5)),
    ):
        small = maker.pool(at, pool)
        at = maker.prelu(maker.join(maker.norm(maker.conv(at, 20, pool.window)), small))
        at = maker.prelu(maker.norm(maker.conv(at, 20, back)))
    at = maker.prelu(maker.norm(maker.conv(at, 8, Window(3, 2, 1))))
    return maker.finish(maker.pool(at, MaxPool(Window(3, 1, 1))))


def wide_program() -> Program:
    """Return a program of outputs that AVX-512 counts 64 and 32 at a time, with numbers behind them, and of early signs."""
    maker = Maker(Shape(7, 9, 3), 8)
    at = maker.prelu(maker.norm(maker.int8_stem(128)))
    small = maker.add(GroupMean(2), (at,), Shape(7, 9, 64))
    at = maker.prelu(maker.join(maker.norm(maker.conv(at, 64, Window(1, 1, 0))), small))
    small = maker.pool(at, AvgPool(Window(2, 2, 0)))
    at = maker.prelu(maker.join(maker.norm(maker.conv(at, 64, Window(2, 2, 0))), small))
    at = maker.norm(maker.conv(at, 115, sums=True))  # 64, 32, 16 and 3
    return maker.finish(maker.norm(maker.conv(at, 99), 20.0), classes=7, is_int8=True)


PROGRAMS: dict[str, Callable[[], Program]] = {
    "depthwise": depthwise_program,
    "bits": bits_program,
    "floats": floats_program,
    "int8": int8_program,
    "shrinking": shrinking_program,
    "wide": wide_program,
    "chain with slopes": lambda: conv_chain(24, 3, 5, prelu=True),
    "chain padded with ones": lambda: conv_chain(33, 3, 4, pads_plus=True),
    "wide chain": lambda: conv_chain(264, 2, 2),  # patches of 75 words: they are counted in parts
}


def random_images(program: Program, count: int, seed: int = 0) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Return images (count, H, W, C); one is black, one is white."""
    image = program.image
    images = np.random.default_rng(seed).integers(0, 256, (count, image.height, image.width, image.channels), dtype=np.uint8)
    images[0], images[-1] = 0, 255
    return images
