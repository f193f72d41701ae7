"""Settings of CP-NAS's own loss, a part of a recipe; its equations are in `training/step/cp_loss.py`. No torch."""

from pydantic import Field

from search_spaces.given import GivenModel


class CpLossSettings(GivenModel):
    """Weights of the two terms, and how the means of the classes follow.

    References:
        Zhuo et al., "CP-NAS: Child-Parent Neural Architecture Search for 1-bit CNNs", IJCAI 2020, arXiv 2005.00057.
    """

    kernel: float = Field(
        0.1,
        ge=0,
        le=1000,
        description="mu: weight of the distance of latent kernels from their scaled bits; 0: none. About 0.003 for bnn.",
    )
    centre: float = Field(
        1e-3, ge=0, le=1000, description="lambda: weight of the distance of features from the mean of their class; 0: none."
    )
    centre_rate: float = Field(0.5, gt=0, le=1, description="How fast the means of the classes follow the features.")
