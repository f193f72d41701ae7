"""Class centres, against figures worked out by hand."""

import torch

from nas_service.binarization.class_centres import centre_distance, follow


def test_the_distance_is_the_mean_over_images() -> None:
    """(3^2 + 4^2 and 0) / 2."""
    features, centres = torch.tensor([[3.0, 4.0], [1.0, 1.0]]), torch.tensor([[0.0, 0.0], [1.0, 1.0]])
    assert float(centre_distance(features, torch.tensor([0, 1]), centres)) == 12.5


def test_centres_follow_their_own_class_and_others_stay() -> None:
    """Two images of class 0 at 3: 0 + 0.5 * (3 + 3) / (1 + 2) = 1."""
    centres = torch.zeros(2, 1)
    follow(centres, torch.tensor([[3.0], [3.0]]), torch.tensor([0, 0]), 0.5)
    assert centres.tolist() == [[1.0], [0.0]]
