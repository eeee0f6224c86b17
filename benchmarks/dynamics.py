"""Write the table of verdicts in docs/dynamics.md and its pictures, by `genexp dynamics`.

python benchmarks/dynamics.py
"""

import json
import shutil
import tempfile
from pathlib import Path

from genexp.cli import main as main_of_genexp
from readme import ROOT, fill

COMMAND = "python benchmarks/dynamics.py"
GAMES = {
    "loss=wasserstein plan=simultaneous": "sqrt(1 + h²)",
    "loss=wasserstein plan=alternating": "1",
    "loss=non_saturating plan=simultaneous": "sqrt(1 + h²/4)",
    "loss=non_saturating plan=alternating": "1",
    "loss=hinge plan=simultaneous": "sqrt(1 + h²)",
    "loss=non_saturating penalty=r1 penalty.r1.weight=0.3 plan=simultaneous": "sqrt(1 - 0.3h + h²/4)",
    "loss=non_saturating penalty=r1 penalty.r1.weight=0.3 plan=alternating": "sqrt(1 - 0.3h)",
    "loss=non_saturating penalty=r2 penalty.r2.weight=0.3 plan=alternating": "sqrt(1 - 0.3h)",
    "loss=wasserstein penalty=gp penalty.gp.weight=0.2": "none",
    "loss=wasserstein penalty=gp penalty.gp.weight=0.2 penalty.gp.target=0": "sqrt(1 - 0.4h)",
    "loss=wasserstein plan=extragradient": "sqrt(1 - h² + h⁴)",
    "loss=wasserstein plan=consensus plan.weight=0.2": "sqrt((1 - 0.2h)² + h²)",
    "loss=wasserstein plan=simultaneous optimizer=optimistic_sgd": "of x² - (1 + 2hi)x + hi",
    "loss=wasserstein plan=alternating optimizer=negative_momentum": "",
    "loss=wasserstein plan=alternating optimizer=sgd optimizer.momentum=0.5": "",
    "game=scale loss=non_saturating plan=simultaneous": "",
    "game=gaussian loss=non_saturating plan=alternating": "",
    "loss=non_saturating penalty=r1 optimizer=adam optimizer.lr=0.01": "none",
}
PICTURES = {
    "dynamics_simultaneous": "loss=wasserstein plan=simultaneous",
    "dynamics_alternating": "loss=wasserstein plan=alternating",
    "dynamics_extragradient": "loss=wasserstein plan=extragradient",
    "dynamics_r1": "loss=non_saturating penalty=r1 penalty.r1.weight=0.3 plan=alternating",
    "dynamics_gp": "loss=wasserstein penalty=gp penalty.gp.weight=0.2",
}


def run(words: str, folder: Path) -> dict:
    """The numbers of `genexp dynamics WORDS`."""
    if main_of_genexp(["dynamics", *words.split(), f"out={folder}"]) != 0:
        raise SystemExit(f"genexp dynamics {words} failed")
    return json.loads((folder / "dynamics.json").read_text())


def main() -> None:
    lines = [
        "| command | verdict | spectral radius | in closed form | distance |",
        "|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as temporary:
        for k, (words, formula) in enumerate(GAMES.items()):
            folder = Path(temporary) / str(k)
            found = run(words, folder)
            radius = "none" if found["spectral_radius"] is None else f"{found['spectral_radius']:.6f}"
            path = found["trajectory"]
            end = "overflow" if path["end"] is None else f"{path['end']:.3g}"
            distance = f"{path['start']:.3g} to {end}"
            lines.append(f"| `genexp dynamics {words}` | {found['verdict']} | {radius} | {formula} | {distance} |")
            for name, chosen in PICTURES.items():
                if chosen == words:
                    shutil.copy(folder / "portrait.png", ROOT / "docs" / "images" / f"{name}.png")
    fill("dynamics", lines, COMMAND, "h = 0.1 where no learning rate is given; distances before and after 500 steps.")


if __name__ == "__main__":
    main()
