"""Making, renaming and deleting an agent with its directory, when nothing crashes."""

import shutil
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from accredit_storage.directory.directories import Directories
from accredit_storage.errors import (
    Conflict,
    DirectoryConflict,
    DirectoryMissing,
    FileMissing,
    FilesUnavailable,
    PathInvalid,
    SlugTaken,
    StoreBusy,
    StoreError,
)
from accredit_storage.records import Agent
from accredit_storage.store import Store
from tests.directory.agreeing import (
    FILES,
    Undone,
    agents,
    assert_agree,
    contents,
    created,
    deleted,
    on_shelf,
    renamed,
    undo,
)
from tests.directory.making import PATIENCE
from tests.storage.making import NOW, agent, all_at_once, user


@pytest.fixture
def scribe(store: Store, directories: Directories) -> Agent:
    """An agent with files."""
    return created(store, directories)


def put(stray: Path, kind: str) -> None:
    """Put something where a directory is to come."""
    match kind:
        case "file":
            stray.write_bytes(b"theirs")
        case "link":
            stray.symlink_to(stray.parent)
        case "empty folder":
            stray.mkdir()
        case _:
            stray.mkdir()
            (stray / "theirs").write_bytes(b"theirs")


def append_line(directories: Directories, who: Agent, line: str) -> None:
    """Add to a file of an agent, wherever it is by now."""
    directories.reach(
        who, lambda place: directories.files.append(place, "log", f"{line}\n".encode())
    )


class TestCreating:
    def test_makes_row_and_directory_with_what_was_put_there(
        self, store: Store, directories: Directories, scribe: Agent
    ) -> None:
        assert contents(directories, "scribe") == {**FILES, "name": b"scribe"}
        assert_agree(store, directories)

    def test_refuses_a_stray_directory_and_leaves_it_alone(
        self, store: Store, directories: Directories
    ) -> None:
        stray = directories.tree.root / "agents" / "scribe"
        stray.mkdir()
        (stray / "theirs").write_bytes(b"theirs")
        with pytest.raises(DirectoryConflict, match="scribe"):
            created(store, directories)
        assert contents(directories, "scribe") == {"theirs": b"theirs"}
        assert_agree(store, directories, "scribe")

    @pytest.mark.parametrize("kind", ["file", "link", "folder"])
    def test_refuses_a_stray_that_comes_at_the_last_moment(
        self, store: Store, directories: Directories, kind: str
    ) -> None:
        stray = directories.tree.root / "agents" / "scribe"
        with pytest.raises(DirectoryConflict):
            created(store, directories, before=lambda: put(stray, kind))
        assert stray.exists()
        assert_agree(store, directories, "scribe")

    def test_leaves_nothing_where_the_row_is_not_added(
        self, store: Store, directories: Directories
    ) -> None:
        with pytest.raises(Undone):
            created(store, directories, after=undo)
        assert agents(store) == {}
        assert_agree(store, directories)

    def test_goes_on_where_the_transaction_is_tried_again_with_another_id(
        self, store: Store, directories: Directories
    ) -> None:
        ids = []
        with directories.moves.create("scribe") as creation:
            directories.files.write(creation.place, "SOUL.md", b"mine")
            for attempt in range(3):
                try:
                    with store.write() as tx:
                        owner = tx.users.find_by_login("ada") or user(tx)
                        for _ in range(attempt):
                            tx.agents.delete(agent(tx, owner, "other").agent_id)
                        ids.append(agent(tx, owner).agent_id)
                        creation.settle_as(tx, ids[-1])
                        if attempt < 2:
                            raise Undone
                except Undone:
                    continue
        assert len(set(ids)) > 1
        assert contents(directories, "scribe") == {"SOUL.md": b"mine"}
        assert_agree(store, directories)

    def test_of_a_taken_slug_is_refused(
        self, store: Store, directories: Directories, scribe: Agent
    ) -> None:
        with pytest.raises(SlugTaken), directories.moves.create("scribe"):
            pass
        assert_agree(store, directories)

    def test_by_many_at_once_makes_one(self, store: Store, directories: Directories) -> None:
        with store.write() as tx:
            user(tx)

        def create(_: int) -> bool:
            try:
                created(store, directories)
            except SlugTaken:
                return False
            return True

        assert all_at_once(6, create).count(True) == 1
        assert contents(directories, "scribe") == {**FILES, "name": b"scribe"}
        assert_agree(store, directories)

    def test_several_at_once_tells_of_each_why_not(
        self, store: Store, directories: Directories, scribe: Agent
    ) -> None:
        (directories.tree.root / "agents" / "stray").mkdir()
        slugs = ["zoe", "scribe", "stray", "amy", "amy"]
        with directories.moves.create_many(slugs) as creations:
            assert isinstance(creations["scribe"], SlugTaken)
            assert isinstance(creations["stray"], DirectoryConflict)
            with store.write() as tx:
                owner = tx.users.find_by_login("ada")
                assert owner
                for slug, creation in creations.items():
                    if not isinstance(creation, StoreError):
                        creation.settle_as(tx, agent(tx, owner, slug).agent_id)
        assert set(agents(store)) == {"amy", "scribe", "zoe"}
        assert_agree(store, directories, "stray")

    def test_several_at_once_makes_those_whose_rows_were_added(
        self, store: Store, directories: Directories
    ) -> None:
        with directories.moves.create_many(["amy", "zoe"]) as creations, store.write() as tx:
            amy = creations["amy"]
            assert not isinstance(amy, StoreError)
            amy.settle_as(tx, agent(tx, user(tx), "amy").agent_id)
        assert_agree(store, directories)

    def test_settles_after_the_row_was_added(
        self, store: Store, directories: Directories, scribe: Agent
    ) -> None:
        for wrong in (scribe.agent_id, 999):
            with (
                pytest.raises(RuntimeError),
                directories.moves.create("clerk") as creation,
                store.write() as tx,
            ):
                creation.settle_as(tx, wrong)
        assert_agree(store, directories)

    @pytest.mark.parametrize("slug", ["", "..", ".new", "a/b", "A b"])
    def test_needs_a_slug(self, directories: Directories, slug: str) -> None:
        with pytest.raises(PathInvalid), directories.moves.create(slug):
            pass


class TestRenaming:
    def test_moves_row_and_directory(
        self, store: Store, directories: Directories, scribe: Agent
    ) -> None:
        assert renamed(store, directories, scribe, "clerk")
        assert agents(store) == {"clerk": scribe.agent_id}
        assert contents(directories, "clerk") == {**FILES, "name": b"scribe"}
        assert_agree(store, directories)

    def test_keeps_octets_and_underscores_as_they_are(
        self, store: Store, directories: Directories, scribe: Agent
    ) -> None:
        assert renamed(store, directories, scribe, "_%2e%2e%2f_caf%c3%a9")
        assert_agree(store, directories)

    def test_moves_the_directory_back_where_the_row_is_not_changed(
        self, store: Store, directories: Directories, scribe: Agent
    ) -> None:
        def look() -> None:
            assert contents(directories, "clerk")
            raise Undone

        with pytest.raises(Undone):
            renamed(store, directories, scribe, "clerk", after=look)
        assert contents(directories, "scribe") == {**FILES, "name": b"scribe"}
        assert_agree(store, directories)

    def test_moves_it_back_also_where_nobody_says_that_it_failed(
        self, store: Store, directories: Directories, scribe: Agent
    ) -> None:
        with directories.moves.rename(scribe.agent_id, "scribe", "clerk") as move:
            try:
                with store.write() as tx:
                    tx.agents.update(scribe.agent_id, at=NOW, agent_slug="clerk")
                    move.settle(tx)
                    raise Undone
            except Undone:
                pass
        assert_agree(store, directories)

    def test_does_nothing_where_it_is_not_settled(
        self, store: Store, directories: Directories, scribe: Agent
    ) -> None:
        with directories.moves.rename(scribe.agent_id, "scribe", "clerk"):
            pass
        assert_agree(store, directories)

    def test_stands_where_only_the_answer_to_the_commit_was_lost(
        self, store: Store, directories: Directories, scribe: Agent
    ) -> None:
        def lose_answer() -> None:
            with directories.moves.rename(scribe.agent_id, "scribe", "clerk") as move:
                with store.write() as tx:
                    tx.agents.update(scribe.agent_id, at=NOW, agent_slug="clerk")
                    move.settle(tx)
                raise FilesUnavailable

        with pytest.raises(FilesUnavailable):
            lose_answer()
        assert agents(store) == {"clerk": scribe.agent_id}
        assert_agree(store, directories)

    def test_goes_on_where_the_transaction_is_tried_again(
        self, store: Store, directories: Directories, scribe: Agent
    ) -> None:
        with directories.moves.rename(scribe.agent_id, "scribe", "clerk") as move:
            for attempt in range(3):
                try:
                    with store.write() as tx:
                        tx.agents.update(scribe.agent_id, at=NOW, agent_slug="clerk")
                        move.settle(tx)
                        if attempt < 2:
                            raise Undone
                except Undone:
                    continue
        assert move.moved
        assert agents(store) == {"clerk": scribe.agent_id}
        assert_agree(store, directories)

    @pytest.mark.parametrize("kind", ["file", "link", "empty folder", "folder"])
    def test_refuses_a_stray_target(
        self, store: Store, directories: Directories, scribe: Agent, kind: str
    ) -> None:
        stray = directories.tree.root / "agents" / "clerk"
        put(stray, kind)
        with pytest.raises(DirectoryConflict, match="clerk"):
            directories.moves.require_free("clerk")
        with pytest.raises(DirectoryConflict, match="clerk"):
            renamed(store, directories, scribe, "clerk")
        assert contents(directories, "scribe") == {**FILES, "name": b"scribe"}
        assert_agree(store, directories, "clerk")

    def test_refuses_a_stray_target_that_comes_at_the_last_moment(
        self, store: Store, directories: Directories, scribe: Agent
    ) -> None:
        stray = directories.tree.root / "agents" / "clerk"
        with pytest.raises(DirectoryConflict):
            renamed(store, directories, scribe, "clerk", before=stray.mkdir)
        assert list(stray.iterdir()) == []
        assert_agree(store, directories, "clerk")

    def test_of_an_agent_without_directory_adopts_none(
        self, store: Store, directories: Directories
    ) -> None:
        with store.write() as tx:
            bare = agent(tx, user(tx), "bare")
        stray = directories.tree.root / "agents" / "clerk"
        stray.mkdir()
        with pytest.raises(DirectoryConflict):
            renamed(store, directories, bare, "clerk")
        stray.rmdir()
        assert not renamed(store, directories, bare, "clerk")
        assert agents(store) == {"clerk": bare.agent_id}
        assert not stray.exists()

    def test_of_an_agent_whose_directory_is_not_its_own_is_refused(
        self, store: Store, directories: Directories, scribe: Agent
    ) -> None:
        (directories.tree.root / "agents" / "scribe" / ".agent").unlink()
        with pytest.raises(DirectoryConflict, match="scribe"):
            renamed(store, directories, scribe, "clerk")
        assert agents(store) == {"scribe": scribe.agent_id}
        assert contents(directories, "scribe") == {**FILES, "name": b"scribe"}

    def test_to_a_taken_slug_is_refused(
        self, store: Store, directories: Directories, scribe: Agent
    ) -> None:
        created(store, directories, "clerk")
        with pytest.raises(SlugTaken):
            renamed(store, directories, scribe, "clerk")
        assert_agree(store, directories)

    def test_of_an_agent_that_was_renamed_meanwhile_is_refused(
        self, store: Store, directories: Directories, scribe: Agent
    ) -> None:
        renamed(store, directories, scribe, "clerk")
        with pytest.raises(Conflict):
            renamed(store, directories, scribe, "poet")
        assert_agree(store, directories)

    def test_settles_after_the_row_was_changed(
        self, store: Store, directories: Directories, scribe: Agent
    ) -> None:
        with (
            pytest.raises(RuntimeError),
            directories.moves.rename(scribe.agent_id, "scribe", "clerk") as move,
            store.write() as tx,
        ):
            move.settle(tx)
        assert_agree(store, directories)

    def test_there_and_back_by_many_at_once_loses_nothing(
        self, store: Store, directories: Directories, scribe: Agent
    ) -> None:
        other = created(store, directories, "clerk")

        def act(number: int) -> int:
            done = 0
            for turn in range(6):
                who = (scribe, other)[(number + turn) % 2]
                slug = ("scribe", "clerk", "poet")[(number + turn) % 3]
                with store.read() as tx:
                    now = tx.agents.find(who.agent_id)
                assert now
                if now.agent_slug == slug:
                    continue
                try:
                    renamed(store, directories, now, slug)
                    done += 1
                except (SlugTaken, Conflict):
                    continue
            return done

        assert sum(all_at_once(4, act)) > 0
        assert_agree(store, directories)
        for slug, agent_id in agents(store).items():
            named = b"scribe" if agent_id == scribe.agent_id else b"clerk"
            assert contents(directories, slug) == {**FILES, "name": named}

    def test_takes_the_files_along_that_are_being_written(
        self, store: Store, directories: Directories, scribe: Agent
    ) -> None:
        over = threading.Event()
        current = scribe

        def act(number: int) -> int:
            nonlocal current
            if number == 0:
                for turn in range(8):
                    slug = ("clerk", "scribe")[turn % 2]
                    renamed(store, directories, current, slug)
                    with store.read() as tx:
                        found = tx.agents.find(scribe.agent_id)
                    assert found
                    current = found
                over.set()
                return 0
            lines = 0
            while not over.is_set():
                append_line(directories, current, f"{number} {lines}")
                lines += 1
            return lines

        lines = all_at_once(4, act)
        assert_agree(store, directories)
        log = contents(directories, current.agent_slug)["log"].decode().splitlines()
        for number in (1, 2, 3):
            mine = [line for line in log if line.startswith(f"{number} ")]
            assert mine == [f"{number} {line}" for line in range(lines[number])]


class TestDeleting:
    def test_with_files_removes_both(
        self, store: Store, directories: Directories, scribe: Agent
    ) -> None:
        assert deleted(store, directories, scribe, with_files=True)
        assert agents(store) == {}
        assert not (directories.tree.root / "agents" / "scribe").exists()
        assert_agree(store, directories)

    def test_without_files_keeps_them_under_a_name_that_says_so(
        self, store: Store, root: Path
    ) -> None:
        at = datetime(2026, 3, 1, 12, 30, 45, tzinfo=UTC)
        directories = Directories(store, root, now=lambda: at)
        directories.start()
        scribe = created(store, directories)
        assert deleted(store, directories, scribe, with_files=False)
        kept = f"scribe.{scribe.agent_id}.20260301T123045Z"
        assert on_shelf(directories, ".kept") == [kept]
        assert contents(directories, f".kept/{kept}") == {**FILES, "name": b"scribe"}
        assert_agree(store, directories)

    @pytest.mark.parametrize("with_files", [True, False])
    def test_lets_no_successor_inherit(
        self, store: Store, directories: Directories, scribe: Agent, with_files: bool
    ) -> None:
        deleted(store, directories, scribe, with_files=with_files)
        with directories.moves.create("scribe") as creation, store.write() as tx:
            owner = tx.users.find_by_login("ada")
            assert owner
            successor = agent(tx, owner)
            creation.settle_as(tx, successor.agent_id)
        assert contents(directories, "scribe") == {}
        assert directories.reach(successor, directories.files.list) == []
        with pytest.raises(DirectoryMissing):
            directories.reach(scribe, directories.files.list)
        assert_agree(store, directories)

    @pytest.mark.parametrize("with_files", [True, False])
    def test_puts_the_directory_back_where_the_row_stays(
        self, store: Store, directories: Directories, scribe: Agent, with_files: bool
    ) -> None:
        def look() -> None:
            assert not (directories.tree.root / "agents" / "scribe").exists()
            raise Undone

        with pytest.raises(Undone):
            deleted(store, directories, scribe, with_files=with_files, after=look)
        assert contents(directories, "scribe") == {**FILES, "name": b"scribe"}
        assert_agree(store, directories)
        assert on_shelf(directories, ".kept") == []

    @pytest.mark.parametrize("with_files", [True, False])
    def test_leaves_a_directory_alone_that_is_not_the_agents(
        self, store: Store, directories: Directories, with_files: bool
    ) -> None:
        with store.write() as tx:
            bare = agent(tx, user(tx), "bare")
        stray = directories.tree.root / "agents" / "bare"
        stray.mkdir()
        assert not deleted(store, directories, bare, with_files=with_files)
        assert stray.is_dir()
        assert_agree(store, directories, "bare")

    def test_and_renaming_at_once_come_one_after_the_other(
        self, store: Store, directories: Directories, scribe: Agent
    ) -> None:
        def act(number: int) -> str:
            try:
                if number % 2:
                    renamed(store, directories, scribe, f"clerk-{number}")
                    return "renamed"
                deleted(store, directories, scribe, with_files=False)
                return "deleted"
            except Conflict:
                return "too late"

        outcomes = all_at_once(4, act)
        assert outcomes.count("too late") == 3
        assert_agree(store, directories)


class TestReaching:
    def test_finds_the_directory_that_was_renamed_since(
        self, store: Store, directories: Directories, scribe: Agent
    ) -> None:
        renamed(store, directories, scribe, "clerk")
        found = directories.reach(scribe, lambda place: directories.files.read(place, "SOUL.md"))
        assert found.content == FILES["SOUL.md"]

    def test_does_not_write_into_the_successors_files(
        self, store: Store, directories: Directories, scribe: Agent
    ) -> None:
        renamed(store, directories, scribe, "clerk")
        created(store, directories, "scribe")
        directories.reach(
            scribe, lambda place: directories.files.write(place, "SOUL.md", b"changed")
        )
        assert contents(directories, "clerk")["SOUL.md"] == b"changed"
        assert contents(directories, "scribe")["SOUL.md"] == FILES["SOUL.md"]

    def test_waits_for_a_move_that_is_under_way(
        self, store: Store, directories: Directories, scribe: Agent
    ) -> None:
        entered = threading.Event()

        def read() -> bytes:
            entered.set()
            return directories.reach(
                scribe, lambda place: directories.files.read(place, "SOUL.md")
            ).content

        with ThreadPoolExecutor(1) as threads:

            def begin() -> None:
                reading.append(threads.submit(read))
                assert entered.wait(PATIENCE)

            reading: list[Future[bytes]] = []
            renamed(store, directories, scribe, "clerk", after=begin)
            assert reading[0].result(PATIENCE) == FILES["SOUL.md"]

    def test_makes_a_directory_that_is_missing(
        self, store: Store, directories: Directories
    ) -> None:
        with store.write() as tx:
            bare = agent(tx, user(tx), "bare")
        assert directories.reach(bare, directories.files.list) == []
        assert_agree(store, directories)

    def test_by_many_at_once_makes_it_once(self, store: Store, directories: Directories) -> None:
        with store.write() as tx:
            bare = agent(tx, user(tx), "bare")

        def write(number: int) -> None:
            append_line(directories, bare, str(number))

        all_at_once(6, write)
        assert len(contents(directories, "bare")["log"].splitlines()) == 6
        assert_agree(store, directories)

    def test_an_agent_that_has_gone_is_refused(
        self, store: Store, directories: Directories, scribe: Agent
    ) -> None:
        deleted(store, directories, scribe, with_files=True)
        with pytest.raises(DirectoryMissing):
            directories.reach(scribe, directories.files.list)
        assert_agree(store, directories)

    def test_a_stray_directory_is_refused_until_it_is_moved_away(
        self, store: Store, directories: Directories
    ) -> None:
        with store.write() as tx:
            bare = agent(tx, user(tx), "bare")
        stray = directories.tree.root / "agents" / "bare"
        stray.mkdir(mode=0o700)
        (stray / "SOUL.md").write_bytes(b"nobody's")
        with pytest.raises(DirectoryConflict):
            directories.reach(bare, directories.files.list)
        stray.rename(directories.tree.root.with_name("aside"))
        assert directories.reach(bare, directories.files.list) == []
        assert_agree(store, directories)

    def test_another_agents_directory_is_never_adopted(
        self, store: Store, directories: Directories, scribe: Agent
    ) -> None:
        with store.write() as tx:
            owner = tx.users.find_by_login("ada")
            assert owner
            bare = agent(tx, owner, "bare")
        agents_ = directories.tree.root / "agents"
        shutil.copytree(agents_ / "scribe", agents_ / "bare")
        with pytest.raises(DirectoryConflict):
            directories.reach(bare, directories.files.list)

    def test_what_is_missing_there_is_missing(
        self, directories: Directories, scribe: Agent
    ) -> None:
        with pytest.raises(FileMissing):
            directories.reach(scribe, lambda place: directories.files.read(place, "nothing"))

    def test_gives_up_where_a_move_takes_too_long(
        self, directories: Directories, scribe: Agent, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("accredit_storage.directory.recovery.LOCK_WAIT", 0.02)
        with directories.moves.rename(scribe.agent_id, "scribe", "clerk"):
            with pytest.raises(StoreBusy):
                directories.moves.require_free("clerk")
            # Whoever does not meet the move is not held up by it.
            assert len(directories.reach(scribe, directories.files.list)) == 3


def test_strays_are_told_to_the_operator(
    store: Store, directories: Directories, scribe: Agent
) -> None:
    assert directories.strays() == []
    with store.write() as tx:
        owner = tx.users.find_by_login("ada")
        assert owner
        agent(tx, owner, "bare")
        agent(tx, owner, "copied")
    agents_ = directories.tree.root / "agents"
    for name in ("bare", "nobody"):
        (agents_ / name).mkdir()
    (agents_ / "a file").write_bytes(b"")
    shutil.copytree(agents_ / "scribe", agents_ / "copied")
    assert directories.strays() == ["a file", "bare", "copied", "nobody"]
