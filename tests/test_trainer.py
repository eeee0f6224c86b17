"""Ways to run the same steps: precision, memory layout, precision of penalties."""

import pytest
import torch

from genexp import config as configs
from genexp.assembly import build_session
from genexp.runs import Run
from genexp.trainer import make_trainer, model_size

DIGITS = ["dataset=digits", "network.encoder.norm=none", "network.decoder.width=8", "network.encoder.width=8"]
DIGITS += ["penalty=gp", "logger=none", "score_every=0", "max_steps=3", "log_every=1", "progress=false"]


@pytest.fixture(autouse=True)
def folders(monkeypatch, tmp_path, cache):
    monkeypatch.setenv("GENEXP_CACHE", str(cache))
    monkeypatch.chdir(tmp_path)


def trained(folder, *overrides):
    config = configs.compose_train([*DIGITS, "trainer.accelerator=cpu", *overrides, "name=x"]).config
    session = build_session(config)
    run = Run(folder)
    run.folder.mkdir(exist_ok=True)
    trainer, _ = make_trainer(session, config, run, None, lambda step: None)
    trainer.fit(session.model, datamodule=session.data)
    return session.model


def weights(model) -> torch.Tensor:
    return torch.cat([p.detach().flatten().float() for p in model.parameters()])


def test_channels_last_computes_the_same(tmp_path):
    plain, other = trained(tmp_path / "a"), trained(tmp_path / "b", "trainer.channels_last=true")
    torch.testing.assert_close(weights(plain), weights(other), rtol=1e-3, atol=1e-5)
    assert other.critic.layers[0].weight.is_contiguous(memory_format=torch.channels_last)


def test_bf16_keeps_weights_and_penalties_in_float32(tmp_path, monkeypatch):
    from genexp.objectives.penalties import GradientPenalty

    seen = []
    call = GradientPenalty.__call__

    def watched(self, critic, real, fake, uniform):
        value = call(self, critic, real, fake, uniform)
        seen.append(value.dtype)
        return value

    monkeypatch.setattr(GradientPenalty, "__call__", watched)
    plain, mixed = trained(tmp_path / "a"), trained(tmp_path / "b", "trainer.precision=bf16-mixed")
    assert set(seen) == {torch.float32}
    assert {p.dtype for p in mixed.parameters()} == {torch.float32}
    difference = (weights(plain) - weights(mixed)).norm() / weights(plain).norm()
    assert 0 < difference < 0.05


def test_model_size_counts_every_part(tmp_path):
    model = trained(tmp_path / "a")
    size = model_size(model)
    assert size["total"] == size["generator"] + size["critic"] == weights(model).numel()
