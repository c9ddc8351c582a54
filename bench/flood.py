"""How right credentials fare while one address floods the server with wrong ones.

``python -m bench.flood`` sends wrong texts at a steady rate, made up and dead by turns, as callers'
credentials and (``--subjects``, in per cent) as tokens that a service asks about. Meanwhile
credentials that are new to the process are used once each. It prints what was sent and answered,
and how long the right ones took. The flood has a process of its own, which takes time from the
server where there are few cores.
"""

import argparse
import contextlib
import itertools
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import grpc

from accredit.v1 import auth_pb2, auth_pb2_grpc, token_pb2, token_pb2_grpc, types_pb2
from bench.load import database, served

_DEAD = 50
_BODY = "acr_{:016}_" + "5" * 43


def main() -> None:
    """Measure, and print."""
    arguments = argparse.ArgumentParser(prog="python -m bench.flood", description=__doc__)
    arguments.add_argument("--rate", type=int, default=2000, help="wrong texts a second")
    arguments.add_argument("--right", type=int, default=100, help="right credentials")
    arguments.add_argument("--seconds", type=float, default=10.0, help="how long")
    arguments.add_argument("--subjects", type=int, default=50, help="of a hundred, subjects'")
    arguments.add_argument("--engine", choices=("sqlite", "postgresql"), action="append")
    arguments.add_argument("--to", nargs=2, metavar=("ADDRESS", "FILE"), help=argparse.SUPPRESS)
    chosen = arguments.parse_args()
    if chosen.to:
        _flood(chosen.to[0], Path(chosen.to[1]).read_text().split(), chosen)
        return
    for engine in chosen.engine or ("sqlite", "postgresql"):
        with tempfile.TemporaryDirectory() as folder, database(engine, Path(folder)) as url:
            print(
                f"\n{engine}, {chosen.rate} wrong texts a second for {chosen.seconds:g} seconds,"
                f" {chosen.subjects} of a hundred subjects'"
            )
            _measure(url, Path(folder), chosen)


def _measure(url: str, folder: Path, chosen: argparse.Namespace) -> None:
    with served("bench.serve", url, str(folder / "secret")) as server:
        address = server.address
        admin = _bearer((folder / "secret").read_text())
        channel = grpc.insecure_channel(address)
        tokens = token_pb2_grpc.TokenServiceStub(channel)
        right = [_mint(tokens, admin).secret for _ in range(chosen.right)]
        dead = [_mint(tokens, admin) for _ in range(_DEAD)]
        for one in dead:
            end = token_pb2.RevokeTokenRequest(token_id=one.token.token_id)
            tokens.RevokeToken(end, metadata=admin)
        # A service's own credential comes first, a text with the store's key id second.
        service = _mint(tokens, admin).secret
        texts = [service, right[0][64:66], *(one.secret for one in dead)]
        (folder / "texts").write_text("\n".join(texts))
        flood = subprocess.Popen(
            [sys.executable, "-m", "bench.flood", "--to", address, str(folder / "texts")]
            + [f"--{name}={getattr(chosen, name)}" for name in ("rate", "seconds", "subjects")]
        )
        time.sleep(1.0)
        auth = auth_pb2_grpc.AuthServiceStub(grpc.insecure_channel(address))
        times, refused = [], Counter[str]()
        for secret in right:
            start = time.perf_counter()
            try:
                auth.WhoAmI(auth_pb2.WhoAmIRequest(), metadata=_bearer(secret))
            except grpc.RpcError as error:
                refused[error.code().name] += 1
            else:
                times.append(time.perf_counter() - start)
            took = time.perf_counter() - start
            time.sleep(max(0.0, (chosen.seconds - 2) / len(right) - took))
        flood.wait()
    times.sort()
    print(
        f"right credentials, each new: {len(times)} answered, p50 {times[len(times) // 2]:.3f} s,"
        f" longest {times[-1]:.3f} s; refused {dict(refused) or 'none'}"
    )


def _mint(tokens: Any, admin: Any) -> Any:
    of_admin = types_pb2.UserRef(user_id=1)
    return tokens.CreateToken(
        token_pb2.CreateTokenRequest(user=of_admin, full_rights=True), metadata=admin
    )


def _bearer(secret: str) -> tuple[tuple[str, str]]:
    return (("authorization", f"Bearer {secret}"),)


def _flood(address: str, texts: list[str], chosen: argparse.Namespace) -> None:
    """Send so many a second whether or not they are answered, and print what became of them."""
    rate, seconds = chosen.rate, chosen.seconds
    service, key_id, *dead = texts
    auth = auth_pb2_grpc.AuthServiceStub(grpc.insecure_channel(address))
    # By turns with the id of the store's key, and with one that somebody made up as well.
    ids = itertools.cycle([key_id, *(f"{number:02}" for number in range(100))])
    made_up = (
        _BODY.format(number) + (key_id if number % 2 else next(ids)) + "0" * 11
        for number in itertools.count()
    )
    dying = itertools.cycle(dead)
    outcomes: Counter[str] = Counter()

    def call(number: int) -> None:
        text = next(dying) if number % 2 else next(made_up)
        as_caller = number // 2 % 100 >= chosen.subjects
        what = ("dead" if number % 2 else "made up") + (
            ", caller's" if as_caller else ", subject's"
        )
        if as_caller:
            sent: Any = auth.WhoAmI.future(auth_pb2.WhoAmIRequest(), metadata=_bearer(text))
        else:
            request = auth_pb2.AuthenticateRequest(token=text)
            sent = auth.Authenticate.future(request, metadata=_bearer(service))
        sent.add_done_callback(lambda done: note(what, done))

    def note(what: str, done: Any) -> None:
        outcomes[f"{what}: {done.code().name}"] += 1

    start = time.perf_counter()
    for number in range(int(rate * seconds)):
        late = start + number / rate - time.perf_counter()
        if late > 0:
            time.sleep(late)
        call(number)
    took = time.perf_counter() - start
    sent = int(rate * seconds)
    with contextlib.suppress(TimeoutError):
        while sum(outcomes.values()) < sent and time.perf_counter() - start < took + 5:
            time.sleep(0.05)
    answered = time.perf_counter() - start
    print(f"sent {sent / took:.0f} a second, answered {sum(outcomes.values()) / answered:.0f}")
    for what, count in sorted(outcomes.items()):
        print(f"  {what} {count}")


if __name__ == "__main__":
    main()
