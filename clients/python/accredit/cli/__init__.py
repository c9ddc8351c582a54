"""The `accredit` command: a client of the registry for people and scripts.

A call passes `root` (global options, the error boundary), one module for each subject
(`agents`, `access`, `tokens`, …), and leaves by `output`. What every command needs is in
`session`: the options, and a client that is made when it is first asked for. gRPC and the
messages are imported inside the commands, since `--help` must not wait for them.
"""

import sys


def main() -> None:
    """Run the command line, and exit with its code."""
    try:
        from accredit.cli.root import accredit
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        sys.exit("error: the command needs more than the library: pip install 'accredit[cli]'")
    except KeyboardInterrupt:
        sys.exit(130)
    accredit.main()
