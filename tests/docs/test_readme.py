"""The README does what it says: its blocks are run, in their order, on a real server."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from tests.docs.conftest import environment, python, shell, trying
from tests.docs.pages import README, Block, blocks
from tests.postgres import PostgresServer

TOUR = ["Five minutes", "From a service of yours"]


def steps() -> Iterator[tuple[Block, list[str]]]:
    """What is run, each with the lines that the README says it prints."""
    found = [block for heading in TOUR for block in blocks(README, heading)]
    for place, block in enumerate(found):
        if block.language in ("sh", "python"):
            after = found[place + 1 : place + 2]
            shown = after[0].text.splitlines() if after and after[0].language == "text" else []
            yield block, shown


@pytest.mark.usefixtures("grpcurl")
@pytest.mark.timeout(180)
def test_the_tour_works_as_printed(tmp_path: Path) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(trying(tmp_path / "data"))
        words = {"127.0.0.1:50051": server.address, "accredit-data": str(server.folder)}
        bash = stack.enter_context(shell(tmp_path, environment()))
        ours = {
            **environment(),
            "ACCREDIT_ADDRESS": server.address,
            "ACCREDIT_TOKEN_FILE": str(server.folder / "administrator.token"),
        }
        interpreter = stack.enter_context(python(tmp_path, ours))
        seen = set()
        for block, shown in steps():
            text = block.text
            for word, instead in words.items():
                text = text.replace(word, instead)
            said = (bash if block.language == "sh" else interpreter).run(text)
            seen.add(block.language)
            for line in shown:
                assert line in said.splitlines(), f"the README shows {line!r} after:\n{block.text}"
        assert seen == {"sh", "python"}


def test_what_stands_in_text_blocks_is_shown_by_what_stands_before() -> None:
    shown = sum(len(lines) for _, lines in steps())
    texts = (block for heading in TOUR for block in blocks(README, heading))
    assert shown == sum(len(one.text.splitlines()) for one in texts if one.language == "text")
    assert shown


@pytest.mark.timeout(180)
def test_postgresql_is_started_as_printed(postgres: PostgresServer, tmp_path: Path) -> None:
    made, block = blocks(README, "On PostgreSQL")
    assert (made.language, block.language) == ("sql", "sh")
    url = postgres.url("postgres")
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in made.text.split(";\n"):
            if statement.strip():
                connection.execute(statement.encode())
    url = postgres.url("accredit").replace("postgres@", "accredit@")
    assert "accredit@" in url
    text = block.text.replace("postgresql://accredit@localhost/accredit", url)
    *before, serve = text.splitlines()
    assert serve == "accredit-server serve"
    env = {**environment(), "ACCREDIT_DATA_DIR": str(tmp_path / "data")}
    script = "\n".join(
        [
            "PATH=.venv/bin:$PATH",
            *before,
            f"{serve} --listen 127.0.0.1:0 >{tmp_path}/said 2>&1 & server=$!",
            f"until grep -q 'listening on' {tmp_path}/said; do kill -0 $server; sleep 0.1; done",
            "kill -TERM $server",
            "wait $server",
        ]
    )
    with shell(tmp_path, env) as bash:
        assert "the schema is up to date" in bash.run(script)
    assert "made the administrator" in (tmp_path / "said").read_text()
    postgres.drop_database("accredit")
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as connection:
        connection.execute("DROP ROLE accredit")
