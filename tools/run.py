"""`make run`: a server with a few agents in it, and what to paste next in another terminal.

Settings come from the environment, as for `accredit-server serve`: ACCREDIT_LISTEN,
ACCREDIT_DATA_DIR and so on. Ctrl-C stops the server in good order.
"""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import accredit
from accredit_service.setting_rules import SettingsError
from accredit_service.settings import Settings, load
from tools.seed import seed

# Where a server listens to all, and where it is found from here.
_ANY_HOST = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - not what we bind
_LISTENING = "listening on "
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_GRPCURL = Path("build/bin/grpcurl")


def main() -> int:
    """Serve until the server ends: its exit code."""
    try:
        settings = load({}, os.environ)
    except SettingsError as error:
        sys.exit(f"make run: {error}")
    listens_here = settings.listen.is_loopback or settings.listen.host in _ANY_HOST
    if settings.tls_certificate is not None or not listens_here:
        sys.exit(
            "make run: this is for trying things on this machine, in plaintext; run "
            "`accredit-server serve` for anything else"
        )
    # Waited for by one thread, which cannot miss them as a handler can that is due while another
    # thread waits.
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    server = subprocess.Popen(
        [sys.executable, "-m", "accredit_service.cli", "serve"],
        # Calls would scroll away what to paste.
        env={"ACCREDIT_LOG_LEVEL": "warning", **os.environ},
        stdout=subprocess.PIPE,
        text=True,
        # In a session of its own, so that it hears of a Ctrl-C once and from us: a second signal
        # would stop it without grace.
        start_new_session=True,
        preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS),
    )
    threading.Thread(target=_forward, args=(server,), daemon=True).start()
    assert server.stdout is not None
    for line in server.stdout:
        print(line, end="", flush=True)
        if line.startswith(_LISTENING) and not _begin(settings, line.removeprefix(_LISTENING)):
            server.terminate()
            server.wait()
            return 1
    return server.wait()


def _forward(server: "subprocess.Popen[str]") -> None:
    """Hand our signals on to the server."""
    while True:
        server.send_signal(signal.sigwait(_SIGNALS))


def _begin(settings: Settings, listening: str) -> bool:
    """Load the examples and say what to paste; False, and why, if that cannot be done."""
    host, _, port = listening.strip().rpartition(":")
    address = f"{_ANY_HOST.get(host.strip('[]'), host)}:{port}"
    file = settings.token_file
    if not file.exists():
        print(
            f"make run: {file} is gone, and with it the way in: run "
            f"`{_program('accredit-server')} bootstrap --new-token` and move the token there",
            file=sys.stderr,
        )
        return False
    try:
        with accredit.Client(address, token_file=file, insecure=True) as client:
            seed(client, settings.data_dir)
    except accredit.AccreditError as error:
        print(f"make run: the examples could not be loaded: {error}", file=sys.stderr)
        return False
    print("\nReady. In another terminal, in this directory, try any of these:\n")
    for line in to_paste(address, settings.data_dir):
        print(f"    {line}" if line else "")
    print(
        "\nREADME.md has a longer tour, with a user, an agent and a token of its own."
        "\n`make example` runs a service that asks this one who calls: examples/guarded_service."
        f"\nCtrl-C stops the server; what it holds stays in {settings.data_dir}.",
        flush=True,
    )
    return True


def to_paste(address: str, folder: Path) -> Sequence[str]:
    """Lines of shell, each of which works by itself."""
    token, bob = folder / "administrator.token", folder / "bob.token"
    accredit_ = f"{_program('accredit')} --address {address} --token-file {_quoted(token)}"
    grpcurl = _grpcurl()
    call = f'{grpcurl} -plaintext -H "authorization: Bearer $(cat {_quoted(token)})"'
    demand = '"demand": {"agent": {"agent_slug": "billing-bot"}, "minimum_role": "ROLE_VIEWER"}'
    question = f"""'{{"token": "'$(cat {_quoted(bob)})'", {demand}}}'"""
    python = (
        "import accredit; "
        f'registry = accredit.Client("{address}", token_file="{token}"); '
        'agents = registry.agents.iterate_agents(scope="LIST_SCOPE_ALL"); '
        "print(*(agent.agent_slug for agent in agents))"
    )
    is_missing = grpcurl == str(_GRPCURL) and not _GRPCURL.exists()
    return [
        f"{accredit_} whoami",
        f"{accredit_} agents list --scope all",
        f"{accredit_} check billing-bot --user bob --why",
        f'{accredit_} memory append --agent billing-bot "Tried it out."',
        f"{accredit_} files list --agent billing-bot",
        f"{accredit_} files cat --agent billing-bot SOUL.md",
        "",
        *(["make grpcurl"] if is_missing else []),
        f"{grpcurl} -plaintext {address} list",
        f"{call} {address} accredit.v1.AuthService/WhoAmI",
        f"{call} -d {question} {address} accredit.v1.AuthService/Authorize",
        "",
        f"{_program('python')} -c {shlex.quote(python)}",
    ]


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))


def _program(name: str) -> str:
    """A program of the virtual environment, as one would type it here."""
    return shlex.quote(os.path.relpath(Path(sys.executable).with_name(name)))


def _grpcurl() -> str:
    return "grpcurl" if shutil.which("grpcurl") and not _GRPCURL.exists() else str(_GRPCURL)


if __name__ == "__main__":
    sys.exit(main())
