"""What explorations and exports rest on, of every family: samples are decoded latents, seed for seed."""

import pytest
import torch
from tests.cases import CASES
from tests.untrained import trained

from genexp import config as configs
from genexp import exporting
from genexp.assembly import build_model
from genexp.exploration.draws import chosen_classes, decoded, draw_with_latents
from genexp.models.sampling import draw

FAMILIES = {case.model: case.overrides for case in CASES}


@pytest.fixture(params=sorted(FAMILIES))
def model(request):
    """A family with weights that training has moved, as far as a family can tell."""
    model = build_model(configs.compose_train(FAMILIES[request.param]).config)
    if hasattr(model, "table"):
        model.table.expect(30, seed=0)  # a latent for each training sample
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in (*model.parameters(), *(b for b in model.buffers() if b.is_floating_point())):
            weight.add_(0.1 * torch.rand(weight.shape, generator=generator))
    return model.eval()


def test_samples_are_decoded_latents(model):
    classes = chosen_classes(model, None if model.num_classes is None else "1,0", 7)
    made = draw_with_latents(model, 7, seed=3, classes=classes)
    assert torch.equal(made.samples, draw(model, 7, 3, y=classes))
    assert made.latents is not None
    assert torch.equal(decoded(model, made.latents, made.classes), made.samples)
    assert not torch.equal(made.samples, draw_with_latents(model, 7, seed=4, classes=classes).samples)


@pytest.mark.slow
def test_every_decoder_becomes_onnx(model, tmp_path):
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    _, difference = exporting.export_onnx(trained(model), tmp_path)
    assert difference < 1e-5
