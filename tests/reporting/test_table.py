import dataclasses
import math

import pytest
from rich.console import Console

from genexp.errors import UserError
from genexp.evaluation.scores import Scores
from genexp.reporting.table import score_markdown, score_table

FINGERPRINT = {
    "protocol": "images",
    "data": "digits",
    "headline": "fd32c",
    "features": "digits_cnn32",
    "features_sha256": "0123456789abcdef",
    "n": 500,
    "k": 5,
    "draws": 4,
    "reference": "ref",
}
GAN = Scores({"fd32c": 0.5123, "fd32": 0.9, "coverage": 0.91}, {"fd32c": 0.0612, "coverage": 0.1}, FINGERPRINT)
PERFECT = Scores({"fd32c": -0.02, "fd32": 0.4, "coverage": 0.968}, {"fd32c": 0.1}, FINGERPRINT)
BROKEN = Scores(dict.fromkeys(GAN.metrics), {}, FINGERPRINT, "3 of 2000 samples contain NaN")


IMAGES = {
    **{"fd32c": 8.314159, "fd32": 8.9, "fd_pix": 0.289, "mmd_pix": -0.000224, "mmd_pix_p": 0.00498},
    **{"precision": 0.774, "recall": 0.886, "density": 0.3806, "coverage": 0.448, "c2st_feat_auc": 0.7238},
    **{"c2st_knn_auc": 0.9569, "class_tv": 0.1655, "modes_0.2": 9.75, "copy_rate": 0.0, "ct_z": 24.3},
    **{"ct_auc": 0.9439, "dup_share": 0.0, "mine": 1234.5},
    **{"bpd": 2.4139, "bpd_kind": "lower bound", "bpd_samples": 16},
    **{"sample_s": 0.0123, "train_s": 30.5, "params": 1_234_567},
}
POINTS = {
    **{"modes": 7.25, "modes_strict": 0.0, "hq": 0.98861, "mode_kl": -0.000125, "std_ratio": 0.99951},
    **{"nll_true": -4.29, "off_support": 0.0, "sw2": 0.00404, "mmd": -8.53e-05, "mmd_p": 0.826, "energy": -0.000476},
    **{"bpd": -1.5, "bpd_kind": "exact", "bpd_samples": 0, "sample_s": 0.2, "train_s": 6.0, "params": 67_203},
}


def printed(table, colour=None, width=200) -> str:
    console = Console(width=width, color_system=colour, force_terminal=colour is not None)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


def test_header_headline_error_and_caption():
    text = printed(score_table({"perfect": PERFECT, "gan": GAN.with_columns(bpd=None, params=12_345)}))
    names, aims = (line.split() for line in text.splitlines()[:2])
    assert names == ["fd32c", "coverage", "bpd", "fd32", "params"]
    assert aims == ["↓", "0", "↑", "0.969", "↓", "↓"]
    assert "0.512 ± 0.061" in text
    assert "0.910 ±" not in text
    assert "12,345" in text
    caption = "digits: 4 draws of 500 samples, features digits_cnn32 (01234567), reference split ref"
    assert caption in " ".join(text.split())
    assert "scores.jsonl" not in text  # nothing is left out


def test_the_null_of_coverage_is_that_of_the_settings():
    with_k = [dataclasses.replace(GAN, fingerprint={**FINGERPRINT, "k": k}) for k in (3, 5)]
    headers = [score_markdown({"gan": scores}, columns=["coverage"]).splitlines()[0] for scores in with_k]
    assert headers == ["|  | coverage ↑ 0.876 |", "|  | coverage ↑ 0.969 |"]


def test_anchors_are_dimmed_and_models_are_not():
    lines = printed(score_table({"perfect": PERFECT, "gan": GAN}), "standard").splitlines()
    assert "\x1b[2mperfect" in next(line for line in lines if "perfect" in line)
    assert "\x1b[2mgan" not in next(line for line in lines if "gan" in line)


def test_a_failed_run_says_so():
    text = printed(score_table({"gan": BROKEN, "vae": GAN}))
    assert "failed" in text
    assert "gan failed: 3 of 2000 samples contain NaN" in " ".join(text.split())


def test_markdown_is_exact():
    text = score_markdown({"perfect": PERFECT, "g|n": GAN}, columns=["fd32c", "coverage", "bpd"])
    assert text == (
        "|  | fd32c ↓ 0 | coverage ↑ 0.969 | bpd ↓ |\n"
        "| --- | ---: | ---: | ---: |\n"
        "| *perfect* | -0.02 ± 0.10 | 0.968 | - |\n"
        "| g\\|n | 0.512 ± 0.061 | 0.910 | - |\n"
        "\n"
        "digits: 4 draws of 500 samples, features digits_cnn32 (01234567), reference split ref\n"
    )
    assert "fd32 ↓" in score_markdown({"gan": GAN})


@pytest.mark.parametrize("table", [score_table, score_markdown])
def test_rows_scored_differently_are_refused(table):
    other = dataclasses.replace(PERFECT, fingerprint={**FINGERPRINT, "draws": 2})
    with pytest.raises(UserError, match=r"gan and perfect were scored differently \(draws: 4 and 2\)"):
        table({"gan": GAN, "perfect": other})


def test_names_are_not_markup():
    assert "[red]gan[/red]" in printed(score_table({"[red]gan[/red]": GAN}))


def rows_of(metrics, headline):
    """Anchors without likelihood, and a model with a long name."""
    error, fingerprint = {headline: 0.01234}, {**FINGERPRINT, "headline": headline}
    plain = {name: value for name, value in metrics.items() if not name.startswith("bpd")}
    return {
        "perfect": Scores(plain, error, fingerprint),
        "digits_ddpm_resnet (ema)": Scores(metrics, error, fingerprint),
    }


@pytest.mark.parametrize("width", [80, 100, 120, 160, 300])
@pytest.mark.parametrize(
    ("metrics", "headline", "first"),
    [
        (IMAGES, "fd32c", ["fd32c", "coverage", "recall", "precision", "copy_rate", "class_tv", "c2st_feat_auc"]),
        (POINTS, "hq", ["hq", "modes", "mode_kl", "std_ratio", "nll_true", "sw2", "bpd", "energy"]),
        (POINTS, "energy", ["energy", "modes", "hq", "mode_kl", "std_ratio", "nll_true", "sw2", "bpd"]),
    ],
    ids=["images", "modes", "energy"],
)
def test_what_fits_is_whole_and_in_order(metrics, headline, first, width):
    rows = rows_of(metrics, headline)
    text = printed(score_table(rows, width), width=width)
    assert "…" not in text
    assert all(len(line) <= width for line in text.splitlines())
    names, _, _, perfect, model, *caption = text.splitlines()
    shown = names.split()
    assert len(shown) >= 4
    assert shown[: len(first)] == first[: len(shown)]
    left_out = len(metrics) - len(shown) - 2  # bpd_kind and bpd_samples are in the cell of bpd
    assert (f"{left_out} more columns are in scores.jsonl" in " ".join(caption)) == (left_out > 0)
    # each number is whole: no fewer digits than in the table without a limit
    whole = printed(score_table(rows), width=400).splitlines()
    for line, full in ((perfect, whole[3]), (model, whole[4])):
        assert full.split()[: len(line.split())] == line.split()
    assert model.startswith("digits_ddpm_resnet (ema)  ")


def test_costs_come_last():
    names = printed(score_table(rows_of(IMAGES, "fd32c")), width=400).splitlines()[0].split()
    assert names[-4:] == ["mine", "params", "train_s", "sample_s"]
    assert not {"bpd_kind", "bpd_samples"} & set(names)


@pytest.mark.parametrize(
    ("kind", "value", "cell"),
    [
        ("lower bound", 2.4139, "≤ 2.41"),
        ("exact", 2.4139, "= 2.41"),
        ("exact", -1.5, "= -1.50"),
        ("estimate", 2.4139, "≈ 2.41"),
        ("none", None, "-"),
    ],
)
def test_bits_per_dimension_say_what_they_are(kind, value, cell):
    row = GAN.with_columns(bpd=value, bpd_kind=kind, bpd_samples=16)
    assert f"| 0.910 | {cell} | 0.900 |" in score_markdown({"gan": row})
    assert f"0.910  {cell}" in " ".join(printed(score_table({"gan": row}, 80), width=80).split("   "))


@pytest.mark.parametrize(
    ("value", "error", "cell"),
    [
        (8.314159, 0.1512, "8.31 ± 0.15"),
        (-0.0212, 0.0481, "-0.021 ± 0.048"),
        (0.98861, 0.000512, "0.98861 ± 0.00051"),
        (1234.56, 12.3, "1,235 ± 12"),
        (0.0, 0.0, "0 ± 0"),
        (0.5, 1e-9, "0.500 ± 1e-09"),
        (999.7, None, "1,000"),
        (-0.0, None, "0"),
        (10.0, None, "10"),
        (9.9999, None, "10.0"),
        (0.0000123456, None, "1.23e-05"),
        (math.nan, None, "-"),
    ],
)
def test_numbers(value, error, cell):
    errors = {} if error is None else {"fd32c": error}
    assert f"| gan | {cell} |" in score_markdown({"gan": Scores({"fd32c": value}, errors, FINGERPRINT)})


def test_long_names_go_on_below_and_the_headline_stays():
    name = "a_model_of_which_the_name_is_much_too_long_for_a_terminal (ema)"
    for width in (80, 40):
        text = printed(score_table({"perfect": PERFECT, name: GAN}, width), width=width)
        lines = [line for line in text.splitlines()[4:] if line.strip()]
        label = "".join(line[: max(16, width // 3)].strip() for line in lines[: -(-len(name) // max(16, width // 3))])
        assert label.replace(" ", "") == name.replace(" ", "")
        assert "0.512 ± 0.061" in text
        assert "…" not in text
