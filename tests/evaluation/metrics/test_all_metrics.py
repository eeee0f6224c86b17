"""What every metric of two samples owes: clear errors, no global randomness, no regard to the rows' order."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from genexp.evaluation.metrics import authenticity, c2st, fld, frechet, memorisation, mmd, points, prdc, transport

Metric = Callable[[np.ndarray, np.ndarray], object]
HELD_OUT = np.random.default_rng(99).standard_normal((50, 4))

DETERMINISTIC: dict[str, Metric] = {
    "frechet_distance": frechet.frechet_distance,
    "frechet_distance_corrected": frechet.frechet_distance_corrected,
    "mmd_rbf": lambda x, y: mmd.mmd_rbf(x, y, [1.0, 3.0]),
    "kid": mmd.kid,
    "prdc": prdc.prdc,
    "copy_rate": lambda x, y: memorisation.copy_rate(x, y, HELD_OUT),
    "c_t": lambda x, y: memorisation.c_t(x, y, HELD_OUT),
    "authenticity": authenticity.authenticity,
    "energy_distance": points.energy_distance,
    "w1_lp": transport.w1_lp,
    "mode_statistics": lambda x, y: points.mode_statistics(x, y[:5], 0.5),
}
RANDOM: dict[str, Metric] = {
    "mmd_permutation_test": lambda x, y: mmd.mmd_permutation_test(x, y, [2.0], np.random.default_rng(3), 20),
    "c2st_logreg_auc": lambda x, y: c2st.c2st_logreg_auc(x, y, np.random.default_rng(3)),
    "c2st_knn_auc": lambda x, y: c2st.c2st_knn_auc(x, y, np.random.default_rng(3)),
    "sliced_wasserstein": lambda x, y: points.sliced_wasserstein(x, y, np.random.default_rng(3), 20),
    "mind": lambda x, y: points.mind(x, y, np.random.default_rng(3), 20),
    "fld": lambda x, y: fld.feature_likelihood_divergence(x, y, HELD_OUT, np.random.default_rng(3)),
}
METRICS = DETERMINISTIC | RANDOM


def _samples() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.standard_normal((60, 4)), rng.standard_normal((70, 4)) + 0.3


def _values(result: object) -> np.ndarray:
    return np.array(list(result.values()) if isinstance(result, dict) else result, dtype=np.float64)


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_nan_and_infinity_are_refused(name: str, which: int, value: float):
    samples = _samples()
    samples[which][3, 1] = value
    with pytest.raises(ValueError, match="contains NaN or infinite"):
        METRICS[name](*samples)


@pytest.mark.parametrize("name", METRICS)
def test_different_numbers_of_columns_are_refused(name: str):
    x, y = _samples()
    with pytest.raises(ValueError, match="same number of columns"):
        METRICS[name](x, y[:, :3])


@pytest.mark.parametrize("name", METRICS)
def test_global_generators_are_untouched_and_results_repeat(name: str):
    x, y = _samples()
    legacy, tensor_state = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    first, second = METRICS[name](x, y), METRICS[name](x, y)
    assert np.array_equal(_values(first), _values(second))
    assert np.array_equal(legacy, np.random.get_state()[1])  # noqa: NPY002
    assert torch.equal(tensor_state, torch.get_rng_state())


@pytest.mark.parametrize("name", METRICS)
def test_float32_is_computed_in_float64(name: str):
    x, y = (sample.astype(np.float32) for sample in _samples())
    single, double = METRICS[name](x, y), METRICS[name](x.astype(np.float64), y.astype(np.float64))
    assert np.array_equal(_values(single), _values(double))


@pytest.mark.parametrize("name", DETERMINISTIC)
def test_order_of_rows_does_not_matter(name: str):
    x, y = _samples()
    rng = np.random.default_rng(5)
    shuffled = METRICS[name](rng.permutation(x), y if name == "mode_statistics" else rng.permutation(y))
    np.testing.assert_allclose(_values(shuffled), _values(METRICS[name](x, y)), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", [n for n in DETERMINISTIC if n not in {"kid", "mode_statistics"}])
def test_rotation_and_shift_of_all_sets_do_not_matter(name: str):
    x, y = _samples()
    rotation = np.linalg.qr(np.random.default_rng(6).standard_normal((4, 4)))[0]
    moved = [sample @ rotation + 7.0 for sample in (x, y)]
    if name in {"copy_rate", "c_t"}:
        function = getattr(memorisation, name)
        got = function(*moved, HELD_OUT @ rotation + 7.0)
    else:
        got = METRICS[name](*moved)
    np.testing.assert_allclose(_values(got), _values(METRICS[name](x, y)), rtol=1e-8, atol=1e-10)
