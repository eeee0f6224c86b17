"""`genexp export`: what it writes is loaded where genexp cannot be imported, and gives the same images."""

import json
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file
from tests.untrained import DIGITS, POINTS, run_of, trained

from genexp import exporting
from genexp.assembly import load_trained
from genexp.commands.export import main
from genexp.commands.sample import main as sample
from genexp.errors import UserError
from genexp.models.base import GenerativeModel

pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")

WITHOUT_GENEXP = """
import sys
sys.modules["genexp"] = None
{body}
assert not any(name.startswith("genexp.") for name in sys.modules)
"""
RUN_ONNX = """
import numpy as np, onnxruntime
from safetensors.numpy import load_file
from pathlib import Path
exported, drawn = Path(sys.argv[1]), load_file(sys.argv[2])
session = onnxruntime.InferenceSession(exported / "decode.onnx")
feed = {{"z": drawn["latents"], "y": drawn.get("classes")}}
for n in (1, 2, len(drawn["latents"])):  # the batch size is open
    given = {{name.name: feed[name.name][:n] for name in session.get_inputs()}}
    (x,) = session.run(["x"], given)
    assert x.shape == drawn["samples"][:n].shape
    print(np.abs(x - drawn["samples"][:n]).max())
assert "torch" not in sys.modules
"""
PLAIN_TORCH = """
import json, torch
from pathlib import Path
from safetensors.torch import load_file
exported, drawn = Path(sys.argv[1]), load_file(sys.argv[2])
config = json.loads((exported / "config.json").read_text())
weights = load_file(exported / "weights.safetensors")
own = {{k.removeprefix("generator.layers."): v for k, v in weights.items() if k.startswith("generator.layers.")}}
width, latent_dim = config["network"]["decoder"]["width"], config["model"]["latent_dim"]
net = torch.nn.Sequential(
    torch.nn.Linear(latent_dim, width), torch.nn.ReLU(), torch.nn.Linear(width, width), torch.nn.ReLU(),
    torch.nn.Linear(width, 64), torch.nn.Unflatten(1, config["dataset"]["shape"]), torch.nn.Tanh(),
)
net.load_state_dict(own)
print(float((net(drawn["latents"]) - drawn["samples"]).abs().max()))
"""


def outside(body, *arguments):
    """The numbers that a program prints which cannot import genexp."""
    program = WITHOUT_GENEXP.format(body=body.format())
    done = subprocess.run([sys.executable, "-c", program, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [float(line) for line in done.stdout.split()]


def test_images_are_the_same_outside_genexp(tmp_path, capsys):
    run = run_of(tmp_path / "run", *DIGITS, "model=gan")
    assert main([str(run.folder)]) == 0
    assert "differs from the model by at most" in capsys.readouterr().out
    sample([str(run.folder), "n=5", f"out={tmp_path / 'drawn'}"])
    exported, drawn = run.folder / "export", tmp_path / "drawn.safetensors"
    differences = outside(RUN_ONNX + PLAIN_TORCH, exported, drawn)
    assert len(differences) == 4 and max(differences) < 1e-5
    assert json.loads((exported / "config.json").read_text()) == run.config
    for name, tensor in load_trained(run).model.state_dict().items():
        assert torch.equal(load_file(exported / "weights.safetensors")[name], tensor)
    readme = (exported / "README.md").read_text()
    with_genexp, without = (block.split("```")[0] for block in readme.split("```python\n")[1:])
    shape = "\nassert x.shape == (16, 1, 8, 8)\n"
    subprocess.run([sys.executable, "-c", with_genexp + shape + without + shape], cwd=exported, check=True)


@pytest.mark.slow
def test_a_convolutional_decoder_with_batchnorm_and_grey_levels_is_the_same(tmp_path):
    small = ["network.decoder.base=2", "network.encoder.base=2", "network.decoder.width=4", "network.encoder.width=4"]
    run = run_of(tmp_path / "run", *small, "model=vae", "plan=minimize", "loss=elbo")
    main([str(run.folder)])
    sample([str(run.folder), "n=5", f"out={tmp_path / 'drawn'}"])
    assert max(outside(RUN_ONNX, run.folder / "export", tmp_path / "drawn.safetensors")) < 1e-5


class Conditional(GenerativeModel):
    num_classes = 3

    def __init__(self):
        super().__init__((2,))
        self.network, self.shift = torch.nn.Linear(4, 2), torch.nn.Embedding(3, 2)

    def latents(self, n, seed=None, temperature=1.0):
        return temperature * torch.randn(n, 4, generator=self.generator_for(seed))

    def decode(self, z, y=None):
        return self.network(z) + self.shift(self.classes(len(z), y))


def test_a_conditional_decoder_reads_classes(tmp_path):
    import onnxruntime

    model = Conditional()
    place, difference = exporting.export_onnx(trained(model, *POINTS), tmp_path)
    assert difference < 1e-5
    z, y = torch.randn(7, 4), torch.tensor([2, 2, 0, 1, 2, 0, 1])
    (x,) = onnxruntime.InferenceSession(place).run(None, {"z": z.numpy(), "y": y.numpy()})
    torch.testing.assert_close(torch.from_numpy(x), model.decode(z, y))
    assert '{"z": z, "y": y}' in exporting.export_readme(trained(model, *POINTS), tmp_path, onnx=True).read_text()


def test_the_page_says_where_latents_come_from_that_are_not_standard_normal(tmp_path):
    model = Conditional()
    normal = exporting.export_readme(trained(model, *POINTS), tmp_path, onnx=True).read_text()
    model.latents = lambda n, seed=None, temperature=1.0: torch.rand(n, 4, generator=model.generator_for(seed))
    other = exporting.export_readme(trained(model, *POINTS), tmp_path, onnx=True).read_text()
    assert "standard_normal((16, 4)" in normal and "genexp sample" not in normal
    assert "standard_normal((16, 4)" not in other and "genexp sample RUN out=sample" in other


class Noisy(Conditional):
    num_classes = None

    def decode(self, z, y=None):
        return self.network(z) + torch.randn_like(z[:, :2])


def test_a_decoder_that_draws_numbers_is_refused_and_leaves_no_file(tmp_path):
    with pytest.raises(UserError, match="onnx=false"):
        exporting.export_onnx(trained(Noisy(), *POINTS), tmp_path)
    assert not list(tmp_path.iterdir())


class Flow(GenerativeModel):
    def sample(self, n, y=None, seed=None, temperature=1.0):
        return torch.zeros(n, 2)


def test_a_family_without_a_decoder_is_refused():
    with pytest.raises(UserError, match="add onnx=false"):
        exporting.check_onnx(Flow((2,)))


def test_without_the_packages_the_weights_alone_are_exported(tmp_path, monkeypatch):
    run = run_of(tmp_path / "run", *POINTS, "model=gan")
    monkeypatch.setattr(exporting, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"genexp\[export\]"):
        main([str(run.folder)])
    assert not (run.folder / "export").exists()
    main([str(run.folder), "onnx=false", f"out={tmp_path / 'elsewhere'}"])
    assert sorted(path.name for path in (tmp_path / "elsewhere").iterdir()) == [
        "README.md",
        "config.json",
        "weights.safetensors",
    ]
    assert "onnx" not in (tmp_path / "elsewhere" / "README.md").read_text()
