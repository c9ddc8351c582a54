"""The page on manifests says what is so."""

import re
import subprocess
import sys
from pathlib import Path

from accredit.manifests import checking, decoding, folder, front_matter, nodes
from tests.docs.pages import DOCS, blocks, rows
from tests.manifests.reading import markdown, only, yaml

PAGE = DOCS / "manifests.md"


def test_its_examples_are_manifests(tmp_path: Path) -> None:
    by_language = {block.language: block.text for block in blocks(PAGE)}
    slugs = [one.slug for one in yaml(by_language["yaml"]).definitions]
    assert slugs == ["wiki-generator", "support-triage"]
    role = markdown(by_language["markdown"], "roles/sql-pro.md")
    assert only(role).description == "Knows SQL. Use it when: a query is slow."
    assert [str(notice) for notice in role.notices] == [by_language["text"].splitlines()[1]]
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents/sql-pro.md").write_text(by_language["markdown"])
    program = [sys.executable, "-c", by_language["python"]]
    shown = subprocess.run(program, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert "sql-pro sql-pro.md ['SOUL.md']" in shown.stdout


def test_it_explains_each_key_once() -> None:
    first = [row[0] for row in rows(PAGE)]
    explained = [match[1] for match in (re.fullmatch(r"`(\w+)`", cell) for cell in first) if match]
    assert explained == [*checking.RULES, "name"]


def test_its_bounds_are_those_of_the_code() -> None:
    said = " ".join(" ".join(row) for row in rows(PAGE))
    for bound in (
        f"manifests in a folder {folder.MAX_MANIFESTS // 1000} 000, or nothing",
        f"not counted {folder.MAX_ENTRIES // 1000} 000, or nothing",
        f"names in a path {folder.MAX_DEPTH}",
        f"{decoding.MAX_BYTES >> 20} MiB of UTF-8",
        f"{nodes.MAX_NODES // 1000} 000 in {nodes.MAX_LEVELS} levels",
        f"{front_matter.MAX_LENGTH >> 10} Ki characters",
        f"{front_matter.MAX_KEYS // 1000} 000 keys",
        f"{checking.MAX_MAP_BYTES >> 10} KiB as JSON",
        f"{checking.MAX_MAP_VALUES // 1000} 000 values, {checking.MAX_MAP_LEVELS} levels",
        f"description {checking.RULES['description']['maxLength'] >> 10} KiB",
    ):
        assert bound in said, bound
