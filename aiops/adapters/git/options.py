"""How a repository is reached, and what may be done in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from aiops.core.addresses import unsendable
from aiops.errors import ConfigurationError


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryOptions:
    """One repository. every_s: between two fetches. timeout_s: for one request, and for one push in a turn.

    longest_s: how long all of one exchange over HTTP may take, however often a little of it comes.
    propose: whether changes are offered on branches of their own, which begin with `prefix`, in place of a push to
    `branch`. settle_s: how long whoever follows the branch may take until the cluster shows what it says.
    depth: how many commits are fetched at first; who wrote a value before them is not known.
    """

    name: str
    url: str
    branch: str
    folder: Path
    propose: bool = False
    prefix: str = "aiops/"
    username: str = ""
    password_file: Path | None = None
    bearer_token_file: Path | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    author: str = "aiops"
    email: str = "aiops@localhost"
    every_s: float = 30.0
    timeout_s: float = 10.0
    longest_s: float = 300.0
    settle_s: float = 600.0
    depth: int = 500

    def __post_init__(self) -> None:
        for name in ("password_file", "bearer_token_file", "ca_file", "cert_file", "key_file"):
            path: Path | None = getattr(self, name)
            if path is not None and not path.is_file():
                raise ConfigurationError(f"git.repositories.{self.name}.{name}: there is no file {path}")

    def secret(self) -> str:
        """Return the password or token, read anew from its file: tokens are renewed. Raises OSError.

        One that no header may have counts as one that cannot be read.
        """
        path = self.password_file or self.bearer_token_file
        if path is None:
            return ""
        try:
            secret = path.read_text(encoding="utf-8").strip()
        except UnicodeDecodeError:
            raise OSError(f"{path} is no UTF-8 text") from None
        if self.bearer_token_file == path and (why := unsendable(secret)):
            raise OSError(f"{path}: {why}")
        return secret
