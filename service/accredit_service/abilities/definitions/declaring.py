"""What a definition may say, wherever it comes from."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from accredit_storage.directory import paths
from accredit_storage.records import UserId

from ..errors import invalid
from ..extensions.declarations import Definition
from ..input import configs, texts
from ..input.agent_refs import clean_slug

MAX_DESCRIPTION = 16 * 1024
MAX_SOURCE = 100
MAX_SEEDS = 50
MAX_SEED_BYTES = 4 * 1024 * 1024
MAX_PRIORITY = 1000
MAX_LOGIN = 60
MAX_ID = 2**63 - 1


def define(given: Definition) -> tuple[Definition, list[str]]:
    """The definition, cleaned, and notices of what was left out of it.

    Of two seeds for one file the first stays. Raises InvalidArgument, with the field's name as
    RegisterAgent has it. Whether the owner exists is asked when the agent is created.
    """
    slug = clean_slug("agent_slug", given.slug)
    if given.owner is not None and given.owner_resolver:
        raise invalid("owner_resolver", "empty where an owner is given")
    if not -MAX_PRIORITY <= given.priority <= MAX_PRIORITY:
        raise invalid(
            "priority",
            "from -{limit} to {limit}",
            limit=MAX_PRIORITY,
        )
    seeds, notices = _seeds(given.memory_seeds)
    definition = replace(
        given,
        slug=slug,
        label=texts.one_line("label", given.label) or slug,
        description=_description(given.description),
        memory_seeds=tuple(seeds.items()),
        seed_sizes={filename: len(text.encode()) for filename, text in seeds.items()},
        owner=_owner(given.owner),
        owner_resolver=texts.one_line("owner_resolver", given.owner_resolver),
        default_config=_object("default_config", given.default_config),
        meta=_object("meta", given.meta),
    )
    return definition, notices


def _owner(owner: UserId | str | None) -> UserId | str | None:
    """The owner, if it could be a user's id or login. Neither a package nor a file is typed."""
    if isinstance(owner, str):
        sound = 0 < len(owner) <= MAX_LOGIN and owner.isprintable()
    else:
        sound = owner is None or 0 < owner <= MAX_ID
    if not sound:
        raise invalid("owner", "the id or the login of a user")
    return owner


def _description(text: str) -> str:
    if "\0" in text:
        raise invalid("description", "no NUL character")
    # A lone surrogate, which only a package could send, counts like any other character.
    if len(text.encode(errors="surrogatepass")) > MAX_DESCRIPTION:
        raise invalid("description", "at most {limit} bytes", limit=MAX_DESCRIPTION)
    return text.encode(errors="replace").decode()


def _seeds(given: Sequence[tuple[str, str]]) -> tuple[Mapping[str, str], list[str]]:
    if len(given) > MAX_SEEDS:
        raise invalid("memory_seeds", "at most {limit} files", limit=MAX_SEEDS)
    kept: dict[str, str] = {}
    notices = []
    for name, text in given:
        filename = last_part(name)
        if not paths.is_name(filename):
            notices.append(f"memory_seeds: {ascii(name)[:80]} does not name a file: left out")
        elif not text.strip():
            notices.append(f"memory_seeds: {filename}: there is no text: left out")
        elif filename in kept:
            notices.append(f"memory_seeds: {filename}: given before: left out")
        else:
            kept[filename] = text
    size = sum(len(text.encode()) for text in kept.values())
    if size > MAX_SEED_BYTES:
        raise invalid(
            "memory_seeds",
            "at most {limit} bytes in all, this is {size}",
            limit=MAX_SEED_BYTES,
            size=size,
        )
    return kept, notices


def last_part(path: str) -> str:
    """The name at the end of a path, whichever way its slashes lean."""
    return re.split(r"[/\\]", path)[-1]


def _object(path: str, value: Mapping[str, Any]) -> Mapping[str, Any]:
    """The JSON object; what comes from a package may be anything."""
    try:
        # Numbers as the wire has them: doubles, so that there is one rule for all origins.
        plain = json.loads(json.dumps(value, ensure_ascii=False).encode(), parse_int=float)
    except (TypeError, ValueError, RecursionError):
        raise invalid(path, "an object that JSON can hold") from None
    if not isinstance(plain, dict):
        raise invalid(path, "an object that JSON can hold")
    return configs.checked(path, plain)
