"""Write the tables and the picture of docs/architectures.md: parameter counts, and three networks on the digits.

python benchmarks/architectures.py                    counts, and 800 steps of each recipe
python benchmarks/architectures.py --seeds 3
python benchmarks/architectures.py --write-only       from the runs that are there
"""

import argparse
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import torch
from PIL import Image
from torch import nn

from genexp.networks.dcgan import DCGANDecoder, DCGANEncoder
from genexp.networks.initialisation import torch_default
from genexp.networks.progressive import ProgressiveDecoder, ProgressiveEncoder
from genexp.networks.resnet import ResNetDecoder, ResNetEncoder
from genexp.networks.sndcgan import SNDCGANDecoder, SNDCGANEncoder
from genexp.networks.stylegan import StyleGANDecoder
from genexp.reporting.statistics import t_interval
from genexp.runs import Run
from readme import ROOT, fill

RUNS = ROOT / "runs" / "architectures"
RECIPES = ("digits_dcgan", "digits_sndcgan", "digits_resnet")
STEPS = 800
SNGAN = {"width": 256, "max_width": 256}, {"width": 128, "max_width": 128, "base": 8, "refinements": 2}
SNGAN_128 = {"width": 64, "max_width": 1024}, {"width": 64, "max_width": 1024}
BIGGAN = {"width": 96, "max_width": 1536, "self_modulation": 0, "hierarchical": True, "attention": [64]}
Setting = tuple[str, int, tuple[int, int, int], type[nn.Module], Mapping[str, Any], type[nn.Module], Mapping[str, Any]]
SETTINGS: list[Setting] = [
    ("`dcgan` (the paper's)", 100, (3, 64, 64), DCGANDecoder, {}, DCGANEncoder, {}),
    ("`dcgan`, kernels of 5", 100, (3, 64, 64), DCGANDecoder, {"kernel": 5}, DCGANEncoder, {"kernel": 5}),
    ("`sndcgan` (the paper's)", 128, (3, 32, 32), SNDCGANDecoder, {}, SNDCGANEncoder, {}),
    ("`resnet`, SNGAN's for CIFAR-10", 128, (3, 32, 32), ResNetDecoder, SNGAN[0], ResNetEncoder, SNGAN[1]),
    ("`resnet`, SNGAN's for ImageNet", 128, (3, 128, 128), ResNetDecoder, SNGAN_128[0], ResNetEncoder, SNGAN_128[1]),
    (
        "`biggan`, BigGAN's widths without classes",
        120,
        (3, 128, 128),
        ResNetDecoder,
        BIGGAN,
        ResNetEncoder,
        {"width": 96, "max_width": 1536, "attention": [64]},
    ),
    (
        "`biggan`, as it comes",
        64,
        (3, 32, 32),
        ResNetDecoder,
        {"self_modulation": 0, "hierarchical": True},
        ResNetEncoder,
        {},
    ),
    ("`progressive`, as it comes", 64, (3, 32, 32), ProgressiveDecoder, {}, ProgressiveEncoder, {}),
    ("`stylegan`, as it comes", 64, (3, 32, 32), StyleGANDecoder, {}, ProgressiveEncoder, {"group": 1}),
]


def parameters(network: nn.Module) -> str:
    """How many numbers are trained."""
    return f"{sum(p.numel() for p in network.parameters()):,}"


def counts() -> list[str]:
    """The table of parameter counts."""
    lines = ["| network | latents | images | decoder | encoder |", "|---|---|---|---|---|"]
    for name, latent_dim, shape, decoder, of_decoder, encoder, of_encoder in SETTINGS:
        initialised = {} if name.startswith(("`progressive", "`stylegan")) else {"init": torch_default}
        with torch.device("meta"):  # only counted: no memory, no numbers
            made = decoder(latent_dim=latent_dim, shape=shape, **{**initialised, **of_decoder})
            read = encoder(
                shape=shape, outputs=1, **({} if encoder is ProgressiveEncoder else initialised), **of_encoder
            )
        size = " x ".join(map(str, shape))
        lines.append(f"| {name} | {latent_dim} | {size} | {parameters(made)} | {parameters(read)} |")
    return lines


def train(recipe: str, seed: int) -> Run:
    """Train one seed of a recipe, or take up what is there."""
    folder = RUNS / f"{recipe}-s{seed}"
    if not folder.is_dir() or Run(folder).record["status"] != "complete":
        command = [
            sys.executable,
            "-m",
            "genexp",
            "train",
            f"experiment={recipe}",
            f"seed={seed}",
            f"max_steps={STEPS}",
        ]
        quiet = ["score_every=0", "logger=none", "progress=false", f"run_dir={folder}", "resume=auto"]
        subprocess.run([*command, *quiet], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    return Run(folder)


def interval(values: list[float]) -> str:
    """The mean, with the half-width of the 95 % t-interval where there are several seeds."""
    if len(values) == 1:
        return f"{values[0]:.3f}"
    mean, half = t_interval(values)
    return f"{mean:.3f} ± {half:.3f}"


def main() -> None:
    """Run and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--write-only", action="store_true")
    arguments = parser.parse_args()
    lines = [*counts(), "", "| recipe | seeds | fd32c | coverage | CPU seconds |", "|---|---|---|---|---|"]
    pictures = []
    for recipe in RECIPES:
        if arguments.write_only:
            runs = [Run(path.parent) for path in sorted(RUNS.glob(f"{recipe}-s*/run.json"))]
        else:
            runs = [train(recipe, seed) for seed in range(arguments.seeds)]
        scores = [run.scores()[-1]["metrics"] for run in runs]
        cells = [interval([float(score[metric]) for score in scores]) for metric in ("fd32c", "coverage")]
        seconds = sum(run.record["cpu_seconds"] for run in runs) / len(runs)
        lines.append(f"| `experiment={recipe}` | {len(runs)} | {' | '.join(cells)} | {seconds:.0f} |")
        pictures.append(Image.open(runs[0].samples / "final-ema.png").convert("L"))
    gap, height = 12, max(picture.height for picture in pictures)
    sheet = Image.new("L", (sum(picture.width + gap for picture in pictures) - gap, height), 255)
    left = 0
    for picture in pictures:
        sheet.paste(picture, (left, 0))
        left += picture.width + gap
    sheet.save(ROOT / "docs" / "images" / "architectures.png", optimize=True)
    remark = (
        f"parameters that are trained; scores after {STEPS} steps of 64 images, averaged weights, held-out reference."
    )
    fill("architectures", lines, f"python benchmarks/architectures.py --seeds {max(1, len(runs))}", remark)


if __name__ == "__main__":
    main()
