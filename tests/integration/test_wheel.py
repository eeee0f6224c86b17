"""The built wheel works outside the repository, with its configs inside."""

import subprocess
import sys
import zipfile
from pathlib import Path

from tests.cases import TINY

ROOT = Path(__file__).parents[2]


def test_the_wheel_trains_outside_the_repository(tmp_path, environment):
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True, timeout=120)
    (wheel,) = tmp_path.glob("*.whl")
    site, outside = tmp_path / "site", tmp_path / "outside"
    outside.mkdir()
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    (entry,) = site.glob("*.dist-info/entry_points.txt")
    assert "genexp = genexp.cli:main" in entry.read_text()
    assert (site / "genexp" / "conf" / "train.yaml").is_file()
    assert list(site.glob("genexp/evaluation/weights/*.safetensors"))
    assert list(site.glob("genexp/sweeps/*.yaml"))
    assert list(site.glob("genexp/reporting/assets/page.html"))

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "genexp", *arguments],
            cwd=outside,
            env={**environment, "PYTHONPATH": str(site)},
            capture_output=True,
            text=True,
            timeout=200,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    where = subprocess.run(
        [sys.executable, "-c", "import genexp, genexp.catalogue as c; print(genexp.__file__, c.conf_dir())"],
        cwd=outside,
        env={**environment, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
    )
    assert all(path.startswith(str(site)) for path in where.stdout.split())
    assert "digits_dcgan" in run("list", "experiment")
    run("train", *TINY, "max_steps=4", "score_every=0", "run_dir=run")
    run("sample", "run", "n=9")
    assert (outside / "run" / "scores.jsonl").is_file()
