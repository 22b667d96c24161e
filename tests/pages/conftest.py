"""Views of a small picture of noise through tiny models of the three methods."""

import numpy as np
import pytest
from PIL import Image

from qsneg.inspect import observe
from qsneg.translate import Translator
from tests.conftest import tiny

METHODS = ("cut", "qs-attn", "negcut")


@pytest.fixture(scope="session")
def seen():
    """Views of a 62×41 picture of noise, which is padded to 64×44."""
    noise = np.random.default_rng(0).integers(0, 256, (41, 62, 3), dtype=np.uint8)
    return {m: observe(Translator(tiny(m, n), "cpu"), Image.fromarray(noise)) for n, m in enumerate(METHODS)}
