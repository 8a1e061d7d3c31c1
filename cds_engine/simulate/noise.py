"""Patient i's noise depends on the seed and on i alone, never on how many patients are drawn."""

from collections.abc import Mapping, Sequence
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

BLOCK = 4096
"""Patients that share one stream; a stream is always drawn whole."""


def draw_noise(
    world: str, seed: int, first: int, n: int, *, normal: Sequence[str], uniform: Sequence[str]
) -> Mapping[str, Floats]:
    """Return independent noise for patients ``first`` to ``first + n - 1``, by name.

    Args:
        world: name of the world; worlds share no noise.
        seed: of everything.
        first: number of the first patient.
        n: how many patients.
        normal: names of standard normal variables.
        uniform: names of variables uniform on [0, 1).

    Returns:
        Name -> shape (n,).
    """
    names = (*normal, *uniform)
    drawn = np.empty((len(names), n))
    for block in range(first // BLOCK, -(-(first + n) // BLOCK)):
        start = block * BLOCK
        inside = slice(max(first - start, 0), min(first + n - start, BLOCK))
        into = slice(start + inside.start - first, start + inside.stop - first)
        key = np.random.SeedSequence(seed, spawn_key=(crc32(world.encode()), block))
        stream = np.random.Generator(np.random.Philox(key))
        drawn[: len(normal), into] = stream.standard_normal((len(normal), BLOCK))[:, inside]
        drawn[len(normal) :, into] = stream.random((len(uniform), BLOCK))[:, inside]
    return dict(zip(names, drawn, strict=True))
