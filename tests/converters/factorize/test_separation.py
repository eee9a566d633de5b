"""Separated kernels: closed forms, data-aware refits, and two convolutions that equal one."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.converters.factorize import gram, separation
from tflm_sparsesep.converters.factorize.gram import Gram

RNG = np.random.default_rng(0)
KERNEL = RNG.normal(size=(6, 3, 3, 4))  # N, h, w, C
# Smooth images of channels that go together.
IMAGES = RNG.normal(size=(8, 10, 9, 4)).cumsum(axis=1).cumsum(axis=2) @ RNG.normal(size=(4, 4))


def patch_gram(images: np.ndarray = IMAGES) -> Gram:
    return gram.accumulate([gram.patches(images, (3, 3))]).damped(1e-3)


def flat(kernel: np.ndarray) -> np.ndarray:
    return kernel.reshape(len(kernel), -1)


def convolve(images: np.ndarray, kernel: np.ndarray, **how: object) -> np.ndarray:
    patches = gram.patches(images, kernel.shape[1:3], **how)  # type: ignore[arg-type]
    found: np.ndarray = patches @ flat(kernel).T
    return found


@pytest.mark.parametrize("same", [True, False])
@pytest.mark.parametrize("strides", [(1, 1), (2, 2), (1, 2)])
def test_two_convolutions_equal_one(strides: tuple[int, int], same: bool) -> None:
    found = separation.separate(KERNEL, 5)
    tall = convolve(IMAGES, found.vertical, strides=(strides[0], 1), same=same)
    both = convolve(tall, found.horizontal, strides=(1, strides[1]), same=same)
    one = convolve(IMAGES, found.kernel, strides=strides, same=same)
    np.testing.assert_allclose(both, one, rtol=1e-9, atol=1e-9)


def test_three_convolutions_equal_one() -> None:
    found = separation.tucker(KERNEL, (2, 3))
    three = IMAGES
    for kernel in (found.reduce, found.core, found.expand):
        three = convolve(three, kernel, same=True)
    np.testing.assert_allclose(
        three, convolve(IMAGES, found.kernel, same=True), rtol=1e-9, atol=1e-9
    )


def test_depthwise_equals_its_two_kernels() -> None:
    separable = np.einsum("ic,jc->ijc", RNG.normal(size=(5, 3)), RNG.normal(size=(3, 3)))
    found = separation.separate_depthwise(separable)
    assert found.vertical.shape == (5, 1, 3)
    assert found.horizontal.shape == (1, 3, 3)
    np.testing.assert_allclose(found.kernel, separable, rtol=1e-9, atol=1e-12)
    kernel = RNG.normal(size=(5, 3, 3))
    errors = np.square(kernel - separation.separate_depthwise(kernel).kernel).sum(axis=(0, 1))
    for channel, error in enumerate(errors):
        values = np.linalg.svd(kernel[..., channel], compute_uv=False)
        np.testing.assert_allclose(error, (values[1:] ** 2).sum(), rtol=1e-9)


def test_full_ranks_are_exact() -> None:
    for moments in (None, patch_gram()):
        np.testing.assert_allclose(
            separation.separate(KERNEL, 12, moments).kernel, KERNEL, rtol=1e-7, atol=1e-7
        )
        np.testing.assert_allclose(
            separation.tucker(KERNEL, (4, 6), moments).kernel, KERNEL, rtol=1e-7, atol=1e-7
        )


def test_error_of_the_closed_form() -> None:
    unfolded = KERNEL.transpose(1, 3, 2, 0).reshape(12, 18)
    values = np.linalg.svd(unfolded, compute_uv=False)
    error = np.square(KERNEL - separation.separate(KERNEL, 4).kernel).sum()
    np.testing.assert_allclose(error, (values[4:] ** 2).sum(), rtol=1e-9)


def test_macs() -> None:
    # 5x5, 20 -> 50: 25,000 MACs a pixel, separated K (5 * 20 + 5 * 50).
    kernel = RNG.normal(size=(50, 5, 5, 20))
    assert separation.separate(kernel, 10).macs == 3500
    assert separation.tucker(kernel, (8, 16)).macs == 8 * 20 + 25 * 8 * 16 + 16 * 50


@pytest.mark.parametrize("ranks", [1, 3, (1, 2), (2, 3)])
def test_data_helps_and_turns_never_hurt(ranks: int | tuple[int, int]) -> None:
    moments = patch_gram()
    errors = []
    for turns in (0, 1, 3, 10):
        found: separation.Separated | separation.Tucker
        if isinstance(ranks, int):
            found = separation.separate(KERNEL, ranks, moments, turns=turns)
        else:
            found = separation.tucker(KERNEL, ranks, moments, turns=turns)
        errors.append(moments.error(flat(KERNEL - found.kernel)))
    # Conjugate gradients stop at a residual of 1e-6.
    assert all(b <= a * (1 + 1e-6) for a, b in itertools.pairwise(errors))
    assert errors[-1] < 0.8 * errors[0]


def test_with_independent_inputs_data_change_nothing() -> None:
    closed = separation.separate(KERNEL, 3)
    found = separation.separate(KERNEL, 3, gram.identity(36))
    np.testing.assert_allclose(found.kernel, closed.kernel, rtol=1e-6, atol=1e-6)


def test_refusals() -> None:
    with pytest.raises(ConfigError, match="rank is 13; accepted: 1 to 12"):
        separation.separate(KERNEL, 13)
    with pytest.raises(ConfigError, match="input rank is 5; accepted: 1 to 4"):
        separation.tucker(KERNEL, (5, 1))
    with pytest.raises(ConfigError, match="output rank is 0; accepted: 1 to 6"):
        separation.tucker(KERNEL, (1, 0))
    with pytest.raises(ConfigError, match="of 35 inputs; accepted: 36"):
        separation.separate(KERNEL, 2, gram.identity(35))
