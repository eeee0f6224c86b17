"""Train the packaged features of the digits again: the weights' file, its sha256 and the classifier's accuracy.

Run `python benchmarks/train_digits_features.py --write` only to make new features: every score that was computed with
the old ones is then of another fingerprint. Without `--write` it compares.
"""

import argparse
import hashlib
import re
import time
from pathlib import Path

import torch

from genexp.data.digits import Digits
from genexp.evaluation import features
from genexp.evaluation.feature_training import TrainingSettings, train_features


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="replace the packaged file and its sha256")
    arguments = parser.parse_args()

    data, settings = Digits(), TrainingSettings()
    train = data.split("train")
    started = time.process_time()
    trained = train_features(train.x, train.y, data.num_classes, settings)
    seconds = time.process_time() - started
    content = features.to_bytes(trained, features.feature_key(data, settings))
    sha256 = hashlib.sha256(content).hexdigest()
    if arguments.write:
        features.PACKAGED.write_bytes(content)
        source = Path(features.__file__)
        changed = re.sub(r'(PACKAGED_SHA256 = )"[0-9a-f]*"', rf'\1"{sha256}"', source.read_text())
        source.write_text(changed)

    parameters = sum(parameter.numel() for parameter in trained.net.parameters())
    print(f"{parameters} parameters, {seconds:.1f} CPU seconds, torch {torch.__version__}")
    for name in ("ref", "floor"):
        split = data.split(name)
        with torch.no_grad():
            accuracy = (trained.net(split.x).argmax(dim=1) == split.y).float().mean().item()
        print(f"accuracy on {name}: {accuracy:.4f}")
    print(f"sha256 {sha256}, packaged {features.PACKAGED_SHA256 if not arguments.write else sha256}")


if __name__ == "__main__":
    main()
