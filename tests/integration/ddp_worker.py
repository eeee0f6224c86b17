"""One rank of the distribution test: trains every case for 20 steps and saves the parameters.

python ddp_worker.py FOLDER DEVICES
"""

import sys
from pathlib import Path

import torch
from tests.cases import CASES

from genexp import config as configs
from genexp.assembly import build_session
from genexp.runs import Run
from genexp.trainer import make_trainer

STEPS = ["max_steps=20", "log_every=5", "score_every=0", "checkpoint_every=20", "progress=false"]
PLAIN = ["penalty=none"]


def cases() -> dict[str, list[str]]:
    """Every family and plan, with its penalties and without."""
    found = {str(case): case.overrides for case in CASES}
    for case in CASES:
        if case.plan is not None:
            kept = [override for override in case.overrides if not override.startswith("penalty")]
            found[f"{case}-no-penalty"] = [*kept, *PLAIN]
    return found


def train(name: str, overrides: list[str], folder: Path, devices: int) -> dict[str, torch.Tensor]:
    """The model's tensors after 20 steps on this rank."""
    distributed = ["trainer=ddp", f"trainer.devices={devices}"] if devices > 1 else []
    distributed += ["trainer.accelerator=cpu", "trainer.threads=1"] if devices > 1 else []
    config = configs.compose_train([*overrides, *STEPS, *distributed, f"name={name}"]).config
    session = build_session(config)
    run = Run(folder / f"{name}-{devices}")
    run.folder.mkdir(parents=True, exist_ok=True)
    trainer, _ = make_trainer(session, config, run, None, lambda step: None)
    trainer.fit(session.model, datamodule=session.data)
    return {key: value.clone() for key, value in session.model.state_dict().items()}


def main(folder: Path, devices: int) -> None:
    """Train all cases and save what came out."""
    torch.set_num_threads(1)
    result = {name: train(name, overrides, folder, devices) for name, overrides in cases().items()}
    rank = torch.distributed.get_rank() if torch.distributed.is_initialized() else 0
    torch.save(result, folder / f"devices{devices}-rank{rank}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
