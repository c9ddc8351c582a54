"""Manifests: files that declare agents, in YAML or as Markdown with front matter.

    from pathlib import Path
    from accredit.manifests import read_folder

    manifests = read_folder(Path("agents"))
    for problem in manifests.problems:
        print(problem)
    for definition in manifests.definitions:
        print(definition.slug, sorted(definition.memory_seeds))

Nothing is made here and nothing is asked: a manifest is text, and what comes out are values. It
takes ruamel.yaml, which the client has only with its extra ``cli``.
"""

from pathlib import Path, PurePosixPath

from accredit.manifests import markdown, yaml_form
from accredit.manifests.decoding import MAX_BYTES, NotText, decoded
from accredit.manifests.definitions import Definition, Manifests, gathered
from accredit.manifests.folder import Folder, TooMany, opened
from accredit.manifests.nodes import Unreadable
from accredit.manifests.problems import Findings, Problem
from accredit.manifests.seeds import Reader, Seeds

__all__ = ["Definition", "Manifests", "Problem", "read_folder", "read_text"]

#: What reads the text of a manifest, by how its name ends.
FORMS = {".yaml": yaml_form.read, ".yml": yaml_form.read, ".md": markdown.read}


def read_folder(path: Path) -> Manifests:
    """The manifests in a folder and below, in the code-point order of their paths; or one file.

    What is wrong with a file is among the problems, and stops no other file. Raises OSError for a
    path that is not there or cannot be read.
    """
    if not path.is_dir():
        # Opened by the path itself, which may be a link: somebody chose it.
        with path.open("rb") as file, opened(path.parent) as folder:
            content = file.read(MAX_BYTES + 1)
            return gathered(*_read(path.name, content, folder.beside(path.name)))
    with opened(path) as folder:
        try:
            names, problems = folder.files(FORMS.keys())
        except TooMany as error:
            findings = Findings(".")
            findings.error(0, "", str(error))
            return gathered([], findings.problems)
        definitions: list[Definition] = []
        for name in names:
            more, found = _of_file(name, folder)
            definitions += more
            problems += found
        return gathered(definitions, problems)


def read_text(name: str, content: bytes, seeds: Reader | None = None) -> Manifests:
    """The manifest of a name, which says the form, from its bytes.

    ``seeds`` gives the bytes of a seed by its path: it raises OSError for one that cannot be read,
    and ValueError for one that must not be. Without it no path can be read.
    """
    return gathered(*_read(name, content, seeds))


def _of_file(name: str, folder: Folder) -> tuple[list[Definition], list[Problem]]:
    try:
        content = folder.read(name)
    except (OSError, ValueError) as error:
        findings = Findings(name)
        findings.error(0, "", getattr(error, "strerror", None) or str(error))
        return [], findings.problems
    return _read(name, content, folder.beside(name))


def _read(
    name: str, content: bytes, reader: Reader | None
) -> tuple[list[Definition], list[Problem]]:
    findings = Findings(name)
    form = FORMS.get(PurePosixPath(name).suffix.lower())
    if form is None:
        findings.error(0, "", "a manifest's name ends in .yaml, .yml or .md")
        return [], findings.problems
    try:
        text = decoded(content).removeprefix("\ufeff")
        if text.strip():
            return form(text, findings, Seeds(reader)), findings.problems
        findings.error(1, "", "the file is empty")
    except (NotText, Unreadable) as error:
        findings.error(error.line, "", error.message)
    return [], findings.problems
