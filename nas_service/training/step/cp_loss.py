"""CP loss: what CP-NAS adds to the task's loss when it trains what it found, for every method with binary layers.

Shapes: H, the latent weights of a layer, (F, Ci / groups, k, k), F filters of n = Ci / groups k k weights; b, their bits as they
would be deployed, of the same shape; f, the classifier's input, (N, features), of N images with labels y.

    L = L_task + mu sum over layers and filters c of MSE(H_c, H^_c)
               + lambda / 2 mean over images s of ||f_s - f'_y||^2              (equations 4.17 and 4.18)
    H^_c = alpha_c b_c, alpha_c = <H_c, b_c> / <b_c, b_c>, which is mean |H_c| where b = sign(H): XNOR-Net's reconstruction
    MSE(H_c, H^_c) = ||H_c - H^_c||^2 / n
    f'_m <- f'_m + rate sum over the images of class m of (f - f'_m) / (1 + their number), after the step, from 0

Backward: dL/dH_c = 2 mu / n (H_c - H^_c), exactly and with b constant: alpha is the scale that makes the distance smallest, so
its own derivative adds nothing. dL/df_s = lambda / N (f_s - f'_y); the means are constants.

Where it acts: in the training stage alone, as published; the search judges by accuracies. A sample of a search could not keep
its means for the next either, since it depends on seed, genotype, shared weights and index alone. In a first stage with real
weights no kernel is binary, and the second term is there alone. What trains by the task's loss alone (a second pass for
batch norms, a full-precision teacher) is without both.

How much they do, in per cent of the task's gradient on latent weights (digits, a network of 16 channels, 2 epochs, Adam, one
seed): at mu = 0.1 the first is 0.4 to 2 with Bi-Real Net, IR-Net, ReCU, AdaBin, BiPer, PCNN, MCN and BONN, and signs flip as
without it; 9 to 18 with XNOR-Net, ReSTE, ReBNN and RBONN, where a few flip less. At mu = 1 it is 40 with XNOR-Net, or 19 with 48
channels, and accuracies after the same few epochs are lower by some points. BNN's latent weights reach 1: at 0.1 it is 46
there and signs stop, at 0.003 it is 4. The second term is about 1 at lambda = 1e-3. Since n divides, wide layers feel the
first less.

What is not known, and the decision: the text around 4.17 says what the terms are and that lambda balances them; the equation
itself was not seen. The text speaks of no weight of the first term, so mu would be 1; our default is 0.1, for the above.
lambda is that of BONN's feature loss. The second term is a mean over images, as is our task loss, where the lab's other centre
losses are sums. "Class-specific mean" is the running one of MCN and PCNN (Wen et al.). Features are those that the classifier
gets, after global pooling, where the text says feature map of the last convolutional layer. b is the layer's own: methods
that subtract a mean first (IR-Net, ReCU, AdaBin) are tied to that kernel, PCNN's J kernels of one filter count each, and
BiPer's, signs of a sine, are those of H within half a wave of 0 only. MCN, PCNN, RBCN, RBONN and BONN have kernel losses of
their own, which this one comes on top of. No code of the authors is known.

References:
    Zhuo et al., "CP-NAS: Child-Parent Neural Architecture Search for 1-bit CNNs", IJCAI 2020, arXiv 2005.00057; Zhang et al.,
    "Binary Neural Networks", CRC Press, section 4.3.4. Means: Wen et al., "A Discriminative Feature Learning Approach for
    Deep Face Recognition", ECCV 2016.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nas_service.binarization.class_centres import centre_distance, follow
from nas_service.binarization.layer import BinaryConv2d
from nas_service.binarization.method import Step
from nas_service.recipes.cp_loss import CpLossSettings
from nas_service.training.scoring.latent_figures import signs


class CpLoss(nn.Module):
    """The two terms, and what the second remembers in one training.

    Attributes:
        centres: f', (classes, features).
    """

    centres: Tensor

    def __init__(self, settings: CpLossSettings, classifier: nn.Linear) -> None:
        """Begin with means at 0 for the classes and features of `classifier`."""
        super().__init__()
        self._settings = settings
        self._seen: tuple[Tensor, Tensor] | None = None
        self.register_buffer("centres", torch.zeros_like(classifier.weight, requires_grad=False))

    def losses(self, step: Step) -> dict[str, Tensor]:
        """Return the terms that have a weight, with it: scalars that are added to the task's loss."""
        settings, losses = self._settings, dict[str, Tensor]()
        binary = [layer for layer in step.layers if not layer.real_weights]
        if settings.kernel and binary:
            losses["kernel"] = settings.kernel * kernel_distance(binary)
        if settings.centre:
            self._seen = step.features.detach(), step.labels
            losses["centre"] = settings.centre / 2 * centre_distance(step.features, step.labels, self.centres)
        return losses

    @torch.no_grad()
    def end_step(self) -> None:
        """Move the means towards the features of the step."""
        if self._seen is not None:
            follow(self.centres, *self._seen, self._settings.centre_rate)
            self._seen = None


def kernel_distance(layers: Sequence[BinaryConv2d]) -> Tensor:
    """Return sum over the layers' filters of MSE(H_c, H^_c), a scalar; there is at least one layer."""
    distances = []
    for layer, bits in zip(layers, signs(layers), strict=True):
        latent = layer.weight.unsqueeze(1)  # (F, 1, Ci / groups, k, k)
        kernels = bits.unflatten(0, (len(latent), -1))  # (F, kernels of a filter, Ci / groups, k, k)
        fitting = (latent.detach() * kernels).sum((2, 3, 4), keepdim=True)
        lengths = kernels.square().sum((2, 3, 4), keepdim=True).clamp_min(1)  # n, but where PCNN is ternary
        distances.append((latent - fitting / lengths * kernels).square().mean((2, 3, 4)).sum())
    return torch.stack(distances).sum()
