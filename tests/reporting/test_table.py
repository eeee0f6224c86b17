import dataclasses

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
    "draws": 4,
    "reference": "ref",
}
GAN = Scores({"fd32c": 0.5123, "fd32": 0.9, "coverage": 0.91}, {"fd32c": 0.0612, "coverage": 0.1}, FINGERPRINT)
PERFECT = Scores({"fd32c": -0.02, "fd32": 0.4, "coverage": 0.968}, {"fd32c": 0.1}, FINGERPRINT)
BROKEN = Scores(dict.fromkeys(GAN.metrics), {}, FINGERPRINT, "3 of 2000 samples contain NaN")


def printed(table, colour=None) -> str:
    console = Console(width=200, color_system=colour, force_terminal=colour is not None)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


def test_header_headline_error_and_caption():
    text = printed(score_table({"perfect": PERFECT, "gan": GAN.with_columns(bpd=None, params=12_345)}))
    assert "fd32c ↓ 0" in text
    assert "coverage ↑ 0.969" in text
    assert "0.512 ± 0.061" in text
    assert "0.91 ±" not in text
    assert "12,345" in text
    caption = "digits: 4 draws of 500 samples, features digits_cnn32 (01234567), reference split ref"
    assert caption in " ".join(text.split())
    assert "fd32 ↓" not in text  # the long form is for Markdown


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
        "| *perfect* | -0.02 ± 0.1 | 0.968 | - |\n"
        "| g\\|n | 0.512 ± 0.061 | 0.91 | - |\n"
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
