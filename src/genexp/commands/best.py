"""`genexp best`: which setting of a sweep won, and the command that gets it again."""

import math

from genexp.commands.arguments import run_and_settings, take_flag
from genexp.errors import UserError
from genexp.storage.copies import copied, is_table
from genexp.sweeping.winner import Setting, ranked

USAGE = "genexp best SWEEP [metric=...]"
HELP = f"""{USAGE}

Print the best setting of a sweep or a search: the mean over its seeds of the last validation score of the training, the
next best, and the command that gets the winner again. The split that tables report plays no part in the choice.

  metric=NAME     a validation score of metrics.csv, such as coverage; by default the one that ranks on the data set
"""


def main(arguments: list[str]) -> int:
    """Run `genexp best`."""
    arguments = list(arguments)
    if take_flag(arguments, "-h", "--help"):
        print(HELP, end="")
        return 0
    where, settings = run_and_settings(arguments, {"metric": None}, USAGE)
    folder = copied(where, is_table)
    if not folder.is_dir():
        raise UserError(f"There is no sweep at {where}: give the folder that genexp train -m printed.")
    metric = settings["metric"]
    for place, table in enumerate(ranked(folder, None if metric is None else str(metric))):
        if place:
            print()
        first, second = table.settings[0], table.settings[1:2]
        count = len(table.settings)
        print(f"{table.data}: {count} setting{'s' * (count != 1)} compared by fast/{table.metric} ({table.aim})")
        print(f"best:   {_line(first)}")
        for other in second:
            print(f"next:   {_line(other)}")
        for words in table.left_out:
            print(f"out:    {words}")
        print(f"again:  {first.command}")
    print("The scores are of the validation split, during training; the split that tables report was not looked at.")
    return 0


def _line(setting: Setting) -> str:
    """The score, its interval, and what is special about a setting."""
    n, interval = len(setting.scores), ""
    if n > 1:
        from genexp.reporting.statistics import t_interval

        interval = f" ± {t_interval(setting.scores)[1]:.2g}"
    mean = math.fsum(setting.scores) / n
    return f"{mean:.4g}{interval} ({n} seed{'s' * (n != 1)})  {setting.label}"
