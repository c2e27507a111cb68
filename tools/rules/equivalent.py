"""Faults that are not put into the rules: some make no difference, each for a reason, and some are yet to be seen.

``unseen.txt`` has the faults that no case notices so far, and is there to become shorter: a fault that is not in it
must be caught. ``run_tests.py --write`` tries them all again, which takes long, and writes it anew.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rules.mutate import Mutant

UNSEEN: Final = Path(__file__).with_name("unseen.txt")
_NO_DIFFERENCE: Final = {
    r"^< edge moved in .* < 0\.65\b": "A share of scrapes is never 0.65 to the last digit.",
    r"^\{job=~.*\} dropped in (up|avg_over_time\(up)": "The other one of the two selectors leaves other jobs out.",
    r"^last_over_time swapped in last_over_time\(up": "`group` does not look at the value.",
    r"^max swapped in .*max by \([^)]*, instance\)": "One instance has one value, but while its pod is replaced.",
}
"""What a fault is, as a regular expression, and why the rule says the same with it."""


def no_difference(mutant: Mutant) -> bool:
    """Whether the rules say the same with this fault."""
    return any(re.search(pattern, mutant.fault) for pattern in _NO_DIFFERENCE)


def read_unseen() -> frozenset[str]:
    """Return the faults that no case notices so far, as :func:`line` writes them."""
    return frozenset(UNSEEN.read_text(encoding="utf-8").splitlines())


def write_unseen(survivors: Iterable[Mutant]) -> None:
    """Write down what no case has noticed."""
    UNSEEN.write_text("".join(f"{each}\n" for each in sorted({line(one) for one in survivors})), encoding="utf-8")


def line(mutant: Mutant) -> str:
    """Return what a mutant is called in the file."""
    return f"{', '.join(sorted(mutant.rules))}: {mutant.fault}"
