"""`python -m notes`: the service, until SIGTERM or SIGINT."""

import argparse
import signal
import sys

import accredit
from notes.service import make_server
from notes.store import Notes

SIGNALS = (signal.SIGTERM, signal.SIGINT)


def main() -> None:
    """Serve. Where Accredit is and what we call it with comes from ACCREDIT_ADDRESS and so on."""
    parser = argparse.ArgumentParser(prog="notes", description="A service that Accredit guards.")
    parser.add_argument("--listen", default="127.0.0.1:50061", help="host:port; port 0: any")
    parser.add_argument("--database", default=":memory:", help="a file to keep the notes in")
    options = parser.parse_args()
    # Before gRPC has threads: they would not leave the signals to sigwait() otherwise.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    notes = Notes(options.database)
    try:
        registry = accredit.Client()
    except (OSError, ValueError) as error:
        sys.exit(f"notes: {error}")
    with registry:
        server = make_server(registry, notes)
        try:
            port = server.add_insecure_port(options.listen)
        except RuntimeError:
            sys.exit(f"notes: cannot listen on {options.listen}: is another running there?")
        server.start()
        print(f"notes: listening on {options.listen.rpartition(':')[0]}:{port}", flush=True)
        signal.sigwait(SIGNALS)
        server.stop(grace=5).wait()
    notes.close()


main()
