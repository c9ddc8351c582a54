"""From the bytes of a file to its text."""

#: The size of a manifest, and of a file that it names.
MAX_BYTES = 4 << 20


class NotText(ValueError):
    """The bytes are no text, or too many; ``line`` is where they cease to be, 0 if nowhere."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.message = message


def decoded(content: bytes) -> str:
    """The text, with its line ends as they are. Raises NotText."""
    if len(content) > MAX_BYTES:
        raise NotText(0, f"at most {MAX_BYTES >> 20} MiB")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotText(1 + content.count(b"\n", 0, error.start), "not UTF-8") from error
    # PostgreSQL has no text with it, and no file that is meant to be read has it.
    if (position := text.find("\0")) >= 0:
        raise NotText(1 + text.count("\n", 0, position), "no NUL character")
    return text
