"""Which networks have a form for programs without torch, known before there is one."""

from nas_service.binarization.method import Method


def has_packed_form(method: Method) -> bool:
    """Return whether a method's networks can be written as C, and as ONNX: where both operands of a convolution are bits."""
    return method.facts.precision.activation_bits == 1
