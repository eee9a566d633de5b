"""Reading the smartwatch recordings that benchmarks/accuracy trains on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.accuracy import smartwatch
from tflm_sparsesep.converters.errors import ConfigError

# Where benchmarks/accuracy/environment.py puts it.
WATCH_FILE = Path(__file__).parents[2] / "build/accuracy/watch_dataset.npy"


def test_smartwatch_holds_people_out() -> None:
    if not WATCH_FILE.exists():
        pytest.skip("no smartwatch data: make runtimes")
    data = smartwatch.smartwatch(WATCH_FILE)
    # 140 recordings of 947 to 2618 samples: windows counted from the recordings' lengths.
    assert data.x_train.shape == (6336, 100, 6)
    assert data.x_test.shape == (2940, 100, 6)
    assert data.x_train.dtype == np.float32
    assert data.classes == 7
    assert set(data.y_test) == set(range(7))
    # 633,600 values of size 1 in float32: their mean is 0 to well below 1e-4.
    np.testing.assert_allclose(data.x_train.mean(axis=(0, 1)), 0, atol=1e-4)
    np.testing.assert_allclose(data.x_train.std(axis=(0, 1)), 1, atol=1e-4)
    # Scaled by other people's mean and deviation, the test half is not at 0 and 1 itself.
    assert np.all(np.abs(data.x_test.std(axis=(0, 1)) - 1) > 1e-3)
    swapped = smartwatch.smartwatch(
        WATCH_FILE, train_subjects=range(8, 11), test_subjects=range(1, 8)
    )
    assert (len(swapped.x_train), len(swapped.x_test)) == (2940, 6336)


def test_windows_of_recordings() -> None:
    """Two subjects; windows overlap, tails that are too short are dropped."""
    recordings = [np.arange(2 * n, dtype=np.float64).reshape(n, 2) for n in (10, 7, 3, 9)]
    content = {"X": recordings, "y": np.array([4, 5, 6, 0]), "subject": np.array([1, 1, 1, 2])}
    windows, labels = smartwatch._windows(content, {1}, length=4, step=3)
    assert windows.shape == (5, 4, 2)  # from samples 0, 3, 6 of the first, 0, 3 of the second
    np.testing.assert_array_equal(labels, [4, 4, 4, 5, 5])
    np.testing.assert_array_equal(windows[2], recordings[0][6:10])
    np.testing.assert_array_equal(windows[4], recordings[1][3:7])
    with pytest.raises(ConfigError, match="length=11"):
        smartwatch._windows(content, {1, 2}, length=11, step=1)


@pytest.mark.parametrize(
    ("train", "test"), [((1, 2), (2, 3)), ((0, 1), (2,)), ((1,), (11,)), ((), (1,)), ((1,), ())]
)
def test_subjects_are_checked(train: tuple[int, ...], test: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match="none in both") as error:
        smartwatch.smartwatch(Path("absent.npy"), train_subjects=train, test_subjects=test)
    assert "\n" not in str(error.value)


def test_another_pickle_is_not_read(tmp_path: Path) -> None:
    """Unpickling runs what the file says: it must not come to that."""
    evil = tmp_path / "watch_dataset.npy"
    np.save(evil, np.array({"X": []}, dtype=object), allow_pickle=True)
    with pytest.raises(ConfigError, match="sha256"):
        smartwatch.smartwatch(evil)
    with pytest.raises(ConfigError, match=r"absent\.npy: cannot be read"):
        smartwatch.smartwatch(tmp_path / "absent.npy")
