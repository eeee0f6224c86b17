"""The command line: `genexp train | evaluate | sample | list | report`.

Help and errors in the words are answered here, before anything slow is imported.
"""

import difflib
import os
import signal
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from genexp import __version__
from genexp.errors import UserError

COMMANDS = {
    "train": "train a model, score it and show samples",
    "evaluate": "score a trained run",
    "sample": "draw samples from a trained run",
    "explore": "paths, films, inversions and directions of a trained run",
    "export": "a trained run's weights and decoder for use without genexp",
    "best": "the best setting of a sweep, and the command that gets it again",
    "list": "list the options of a config group, or the runs",
    "report": "tables over seeds of a sweep or of any runs, and a page",
    "dynamics": "whether a game converges, circles or diverges, and why",
    "wandb": "send offline runs to Weights & Biases, build its dashboards",
}

HELP = """genexp {version}: train, measure and compare deep generative models.

  genexp train     [key=value ...]        {train}
  genexp evaluate  RUN [key=value ...]    {evaluate}
  genexp sample    RUN [key=value ...]    {sample}
  genexp explore   RUN [key=value ...]    {explore}
  genexp export    RUN [key=value ...]    {export}
  genexp best      SWEEP [metric=...]     {best}
  genexp list      [GROUP | runs]         {list}
  genexp report    DIR... [key=value ...] {report}
  genexp dynamics  [key=value ...] | RUN  {dynamics}
  genexp wandb     sync | dashboard ...   {wandb}

Examples
  genexp train experiment=digits_dcgan                a recipe: a DCGAN on the 8x8 digits
  genexp train experiment=digits_dcgan loss=hinge seed=3
  genexp train model=vae dataset=two_moons network=mlp
  genexp train -m loss=hinge,least_squares seed=0,1   every combination, each in a process of its own
  genexp train resume=auto                            go on with the newest run that is not finished
  genexp report runs/sweeps/NAME format=terminal,html a table of a sweep, and a page to open in a browser
  genexp list loss                                    what there is to choose from

genexp COMMAND --help tells more about a command.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; the exit code.

    0; 1 when a job of a sweep failed; 2 when the user can mend something; 3 when the run diverged; 4 when another
    process works in the run's folder; 5 when another process of the run is lost; 6 when the store lacks something;
    after SIGTERM 0 or GENEXP_STOP_CODE; 130 after Ctrl-C; 141 when nobody reads the output.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(HELP.format(version=__version__, **COMMANDS), end="")
        return 0
    if arguments[0] in ("-V", "--version"):
        print(f"genexp {__version__}")
        return 0
    command, rest = arguments[0], arguments[1:]
    try:
        code = _command(command)(rest)
        sys.stdout.flush()
        return code
    except UserError as error:
        sentence = str(error).strip()
        print(f"genexp: {sentence if sentence.endswith(('.', '?')) else f'{sentence}.'}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:  # whoever read the output, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python would complain at its end
        return 128 + signal.SIGPIPE
    except OSError as error:
        print(f"genexp: {error.strerror or error}: {error.filename or 'see above'}.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("genexp: interrupted.", file=sys.stderr)
        return 130


def _command(name: str) -> Callable[[list[str]], int]:
    if name not in COMMANDS:
        close = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean {close[0]}?" if close else f"the commands are {', '.join(COMMANDS)}."
        raise UserError(f"There is no command {name}: {hint}")
    return import_module(f"genexp.commands.{name}").main


if __name__ == "__main__":
    sys.exit(main())
