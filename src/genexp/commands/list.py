"""`genexp list`: what there is to choose from, and the runs."""

import sys

from genexp import catalogue, config
from genexp.commands.arguments import refuse_unknown_flags, take_flag, take_option
from genexp.errors import UserError

USAGE = "genexp list [GROUP | runs] [--config-dir DIR]"


def main(arguments: list[str]) -> int:
    """Print the groups, the options of one group, or the runs."""
    if take_flag(arguments, "-h", "--help"):
        print(f"{USAGE}\n\nWithout a word: the groups and their options. With a group: each option and what it is.")
        return 0
    config_dir = take_option(arguments, "--config-dir")
    refuse_unknown_flags(arguments, USAGE)
    if len(arguments) > 1:
        raise UserError(f"genexp list takes one word: {USAGE}")
    if not arguments:
        for group in catalogue.groups(config_dir):
            print(f"{group:12}  {' '.join(catalogue.options(group, config_dir))}")
        return 0
    if arguments[0] == "runs":
        return _runs()
    known = catalogue.options(arguments[0], config_dir)
    if not known:
        raise UserError(f"There is no group {arguments[0]}: the groups are {', '.join(catalogue.groups(config_dir))}.")
    width = max(map(len, known))
    for option in known:
        print(f"{option:{width}}  {catalogue.describe(arguments[0], option, config_dir)}".rstrip())
    return 0


def _runs() -> int:
    from genexp.runs import all_runs
    from genexp.storage.copies import copied, is_record
    from genexp.storage.places import shown

    output = copied(config.compose_train([]).config.paths.output, is_record)
    runs = all_runs(output)
    for run in runs:
        record = run.record
        print(f"{record.get('status', '?'):9} {record.get('step', 0):>8}  {shown(run.folder)}")
    if not runs:
        print(f"no runs under {shown(output)}", file=sys.stderr)
    return 0
