"""docs/extending.md is followed to the letter: its blocks are written to files, its commands are run."""

import re
import shlex
from pathlib import Path

from genexp.runs import Run

PAGE = Path(__file__).parents[2] / "docs" / "extending.md"
QUICK = ["evaluation.n=200", "evaluation.draws=1", "logger=none", "score_every=250"]


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), flags=re.S)


def follow(folder: Path) -> None:
    for block in (*blocks("python"), *blocks("yaml")):
        path = folder / block.splitlines()[0].lstrip("# ").strip()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(block.splitlines(keepends=True)[1:]))  # the first line is the file's name


def test_the_page_works(genexp, tmp_path):
    follow(tmp_path)
    listing, training = (shlex.split(line)[1:] for line in blocks("sh")[0].strip().splitlines())
    assert re.search(r"^gaussians +Independent Gaussians", genexp(*listing).stdout, flags=re.M)
    done = genexp(*training, *QUICK, "run_dir=run")
    run = Run(tmp_path / "run")
    metrics = run.scores()[-1]["metrics"]
    assert metrics["bpd_kind"] == "exact"
    assert run.record["status"] == "complete"
    assert "two_moons_gaussians" in done.stdout
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    genexp("sample", str(tmp_path / "run"), "n=4", cwd=elsewhere)  # the run knows where its code is


def test_a_key_that_the_class_does_not_take_is_refused(genexp, tmp_path):
    follow(tmp_path)
    path = tmp_path / "my_conf" / "model" / "gaussians.yaml"
    path.write_text(path.read_text() + "sclae: 2.0\n")
    done = genexp("train", "--config-dir", "my_conf", "model=gaussians", "dataset=two_moons", check=False)
    assert done.returncode == 2
    assert "sclae" in done.stderr and len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "runs").exists()
