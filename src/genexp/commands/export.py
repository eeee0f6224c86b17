"""`genexp export`: a trained model for use without genexp."""

from genexp.commands.arguments import run_and_settings, take_flag
from genexp.runs import Run
from genexp.storage.copies import copied, is_model, put
from genexp.storage.places import COPIES, folder_of, shown

USAGE = "genexp export RUN [weights=ema] [onnx=true] [out=DIR]"
DEFAULTS = {"weights": "ema", "onnx": True, "out": ""}
HELP = f"""{USAGE}

Write the model of the run's newest checkpoint for use elsewhere, by default to the run's export/ folder:

  weights.safetensors   all weights
  config.json           the resolved config
  decode.onnx           the decoder, latents to data, for any batch size; a conditional family's takes classes too
  README.md             how to load them

The ONNX file is run and compared with the model before it is kept.

  weights=ema           ema | raw
  onnx=true             false leaves it out, for families that decode no latents
  out=DIR               another folder
"""


def main(arguments: list[str]) -> int:
    """Run `genexp export`."""
    if take_flag(arguments, "-h", "--help"):
        print(HELP, end="")
        return 0
    place, settings = run_and_settings(arguments, DEFAULTS, USAGE)
    run = Run.open(copied(place, is_model))
    from genexp import exporting
    from genexp.assembly import load_trained

    trained = load_trained(run, settings["weights"])
    if settings["onnx"]:
        exporting.check_onnx(trained.model)
    folder = folder_of(settings["out"], COPIES) if settings["out"] else run.folder / "export"
    folder.mkdir(parents=True, exist_ok=True)
    written, difference = [], None
    if settings["onnx"]:
        onnx, difference = exporting.export_onnx(trained, folder)
        written.append(onnx)
    written += [exporting.export_weights(trained, folder), exporting.export_config(trained, folder)]
    written.append(exporting.export_readme(trained, folder, settings["onnx"]))
    put(written)
    for path in written:
        print(f"export  {shown(path)}")
    if difference is not None:
        print(f"the ONNX decoder differs from the model by at most {difference:.2g}")
    return 0
