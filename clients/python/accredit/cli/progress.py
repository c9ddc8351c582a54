"""How far a long command has come, for whoever watches."""

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager


@contextmanager
def progress(
    title: str, total: int | None = None, *, shown: bool = True
) -> Generator[Callable[[int, int | None], None]]:
    """A bar on stderr while the block runs, if that is a terminal, and gone after it.

    The block says how many are done, and how many there are if that has become known. Where the
    output comes bit by bit it shows that itself; then no bar is ``shown``.
    """
    if not (shown and sys.stderr.isatty()):
        yield lambda _done, _total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(file=sys.stderr), transient=True) as bar:
        task = bar.add_task(title, total=total)
        yield lambda done, known: bar.update(task, completed=done, total=known)
