"""Seeds derived by name, so that every part of a run has a stream of its own and a restart finds it again."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def derive_seed(seed: int, *path: object) -> int:
    """Return a seed in [0, 2^63) that depends on `seed` and `path` alone."""
    text = "/".join(str(part) for part in (seed, *path))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) >> 1


def derived_generator(device: torch.device, seed: int, *path: object) -> torch.Generator:
    """Return a generator on `device`, seeded by `derive_seed`."""
    return torch.Generator(device).manual_seed(derive_seed(seed, *path))


@contextmanager
def global_seed(seed: int, *path: object) -> Iterator[None]:
    """Seed torch's global generators inside the block (new weights, stochastic signs) and put them back after it."""
    devices = list(range(torch.cuda.device_count()))
    with torch.random.fork_rng(devices):
        torch.manual_seed(derive_seed(seed, *path))
        yield
