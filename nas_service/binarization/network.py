"""Building the network of a genotype with a method."""

from nas_service.binarization.method import Method
from search_spaces.genotype import Genotype
from search_spaces.network import ImageFormat, Network
from search_spaces.space import SearchSpace


def binary_network(space: SearchSpace, genotype: Genotype, method: Method, image: ImageFormat) -> Network:
    """Return the network of `genotype` with the method's layers, and with what else the method changes in it.

    Raises:
        InvalidFieldError: If the genotype is not one of `space`.
    """
    network = Network(space, genotype, method, image)
    method.adapt(network)
    return network
