"""What a definition may say, wherever it comes from."""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from accredit_storage.directory import paths
from accredit_storage.records import UserId

from ..errors import invalid
from ..extensions.declarations import DEFAULT_PRIORITY, Definition, Origin
from ..input import configs, texts
from ..input.agent_refs import clean_slug

MAX_DESCRIPTION = 16 * 1024
MAX_SOURCE = 100
MAX_SEEDS = 50
MAX_SEED_BYTES = 4 * 1024 * 1024
MAX_PRIORITY = 1000
MAX_LOGIN = 60
MAX_ID = 2**63 - 1


def define(
    *,
    slug: str,
    origin: Origin,
    source: str,
    label: str = "",
    description: str = "",
    memory_seeds: Iterable[tuple[str, str]] = (),
    owner: int | str | None = None,
    owner_resolver: str = "",
    resolve_owner: Callable[[], object] | None = None,
    default_config: Mapping[str, Any] | None = None,
    meta: Mapping[str, Any] | None = None,
    priority: int = DEFAULT_PRIORITY,
) -> tuple[Definition, list[str]]:
    """The definition, cleaned, and notices of what was left out of it.

    ``memory_seeds`` are filenames with texts; of two with one name the first stays. Raises
    InvalidArgument, with the field's name as RegisterAgent has it. Whether the owner exists is
    asked when the agent is created.
    """
    cleaned = clean_slug("agent_slug", slug)
    if owner is not None and owner_resolver:
        raise invalid("owner_resolver", "empty where an owner is given")
    if not -MAX_PRIORITY <= priority <= MAX_PRIORITY:
        raise invalid(
            "priority",
            "from -{limit} to {limit}",
            limit=MAX_PRIORITY,
        )
    seeds, notices = _seeds(tuple(memory_seeds))
    definition = Definition(
        slug=cleaned,
        label=texts.one_line("label", label) or cleaned,
        description=_description(description),
        memory_seeds=seeds,
        seed_sizes={filename: len(text.encode()) for filename, text in seeds.items()},
        owner=_owner(owner),
        owner_resolver=texts.one_line("owner_resolver", owner_resolver),
        resolve_owner=resolve_owner,
        default_config=_object("default_config", default_config or {}),
        meta=_object("meta", meta or {}),
        priority=priority,
        origin=origin,
        source=source,
    )
    return definition, notices


def _owner(owner: int | str | None) -> UserId | str | None:
    """The owner, if it could be a user's id or login. Neither a package nor a file is typed."""
    if isinstance(owner, str):
        sound = 0 < len(owner) <= MAX_LOGIN and owner.isprintable()
    else:
        sound = owner is None or 0 < owner <= MAX_ID
    if not sound:
        raise invalid("owner", "the id or the login of a user")
    return UserId(owner) if isinstance(owner, int) else owner


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
