"""The REST API 2.0 of an MLflow tracking server (https://mlflow.org/docs/latest/rest-api.html): experiments and runs.

Bounded answers, one try, errors in our words. The API is asked directly: the client library brings forty packages, asks
again by itself for minutes, and keeps its address in the process's environment.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import requests

from aiops.adapters.mlflow.runs import ID_TAG, Run, quoted
from aiops.core.addresses import without_user
from aiops.errors import ConfigurationError, InvalidInput, SourceUnavailable, let_go

_CHUNK = 65_536
_SHOWN = 200
_REFUSED = frozenset({400, 404, 409, 422})
_GONE = "RESOURCE_DOES_NOT_EXIST"


@dataclass(frozen=True, slots=True, kw_only=True)
class MlflowOptions:
    """Address, credentials and experiment; secrets are kept out of the representation.

    timeout_s, max_bytes: of one answer.
    """

    url: str
    experiment: str = "aiops"
    bearer_token: str = field(default="", repr=False)
    bearer_token_file: Path | None = None
    username: str = ""
    password: str = field(default="", repr=False)
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    insecure_skip_verify: bool = False
    timeout_s: float = 10.0
    max_bytes: int = 16_000_000

    def __post_init__(self) -> None:
        url, name, password = without_user(self.url)
        object.__setattr__(self, "url", url.rstrip("/"))
        if name and not self.username:
            object.__setattr__(self, "username", name)
            object.__setattr__(self, "password", password)
        if (self.cert_file is None) != (self.key_file is None):
            raise ConfigurationError("models.mlflow.cert_file and models.mlflow.key_file belong together")
        for key in ("ca_file", "cert_file", "key_file", "bearer_token_file"):
            path: Path | None = getattr(self, key)
            if path is not None and not path.is_file():
                raise ConfigurationError(f"models.mlflow.{key}: there is no file {path}")


class Tracking:
    """One tracking server and one experiment of it, made where it is not there. Used by one thread."""

    def __init__(self, options: MlflowOptions) -> None:
        self.url = options.url
        self._options = options
        self._session = requests.Session()
        self._session.verify = False if options.insecure_skip_verify else str(options.ca_file or "") or True
        if options.cert_file is not None and options.key_file is not None:
            self._session.cert = (str(options.cert_file), str(options.key_file))
        if options.username:
            self._session.auth = (options.username, options.password)
        self._experiment = ""

    def write(self, run: Run, run_id: str) -> str:
        """Write what a run is to say, and return its id; '' asks for it by its tag, and makes it where there is none.

        Raises InvalidInput when the server will not have it, SourceUnavailable when it could not be asked.
        """
        run_id = run_id or self._found(run) or self._made(run)
        about = {"run_id": run_id, "params": _pairs(run.params), "tags": _pairs(run.tags), "metrics": list(run.metrics)}
        self._ask("POST", "runs/log-batch", about)
        ended = {} if run.ended_ms is None else {"end_time": run.ended_ms}
        self._ask("POST", "runs/update", {"run_id": run_id, "status": run.status, **ended})
        return run_id

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def _found(self, run: Run) -> str:
        wanted = {"experiment_ids": [self._experiment_id()], "filter": f"tags.`{ID_TAG}` = {quoted(run.tags[ID_TAG])}"}
        found = self._ask("POST", "runs/search", {**wanted, "max_results": 1}).get("runs") or []
        return str(found[0]["info"]["run_id"]) if found else ""

    def _made(self, run: Run) -> str:
        about = {
            "experiment_id": self._experiment_id(),
            "run_name": run.name,
            "start_time": run.started_ms,
            "tags": _pairs(run.tags),
        }
        return str(self._ask("POST", "runs/create", about)["run"]["info"]["run_id"])

    def _experiment_id(self) -> str:
        name = self._options.experiment
        if not self._experiment:
            try:
                told = self._ask("GET", "experiments/get-by-name", {"experiment_name": name})["experiment"]
                if told.get("lifecycle_stage", "active") != "active":
                    raise SourceUnavailable(
                        f"{self.url}: the experiment {name!r} is deleted there: restore or rename it"
                    )
                self._experiment = str(told["experiment_id"])
            except _Refused as err:
                if err.code != _GONE:
                    raise
                self._experiment = str(self._ask("POST", "experiments/create", {"name": name})["experiment_id"])
        return self._experiment

    def _ask(self, method: str, path: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        sent: dict[str, Any] = {"params": fields} if method == "GET" else {"data": orjson.dumps(fields)}
        options, deadline = self._options, time.monotonic() + self._options.timeout_s
        address = f"{self.url}/api/2.0/mlflow/{path}"
        headers = {"Content-Type": "application/json", "Accept": "application/json", **self._authorised()}
        wait = (options.timeout_s, options.timeout_s)
        try:
            with self._session.request(
                method, address, stream=True, allow_redirects=False, timeout=wait, headers=headers, **sent
            ) as response:
                body = self._body(response, deadline)
        except requests.exceptions.RequestException as err:
            let_go(err)
            what = "did not answer in time" if isinstance(err, requests.exceptions.Timeout) else "cannot be reached"
            raise SourceUnavailable(f"{self.url} {what} ({type(err).__name__})") from err
        return self._read(path, response.status_code, body)

    def _authorised(self) -> dict[str, str]:
        token, file = self._options.bearer_token, self._options.bearer_token_file
        if file is not None:
            try:
                token = file.read_text(encoding="utf-8").strip()
            except OSError as err:  # a file that is gone for now is no reason to end a thread
                raise SourceUnavailable(f"models.mlflow.bearer_token_file: {file}: {err.strerror}") from err
        return {"Authorization": f"Bearer {token}"} if token else {}

    def _body(self, response: requests.Response, deadline: float) -> bytes:
        parts, size = [], 0
        for part in response.iter_content(_CHUNK):
            size += len(part)
            if size > self._options.max_bytes:
                raise SourceUnavailable(f"{self.url}: the answer is larger than {self._options.max_bytes} bytes")
            if time.monotonic() > deadline:
                raise SourceUnavailable(f"{self.url}: the answer did not end within {self._options.timeout_s:g} s")
            parts.append(part)
        return b"".join(parts)

    def _read(self, path: str, status: int, body: bytes) -> dict[str, Any]:
        try:
            answer = orjson.loads(body or b"{}")
        except orjson.JSONDecodeError:
            answer = None
        if status == 200 and isinstance(answer, dict):
            return answer
        said = body.decode(errors="replace").strip()[:_SHOWN]
        if status in _REFUSED and isinstance(answer, dict) and "error_code" in answer:
            raise _Refused(str(answer["error_code"]), f"{self.url} refuses {path} ({status} {said})")
        why = "is that an MLflow tracking server?" if answer is None else said
        raise SourceUnavailable(f"{self.url} answers {path} with {status}: {why}")


class _Refused(InvalidInput):
    """What was asked makes no sense to the server; asking again would not help."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def _pairs(named: Mapping[str, str]) -> Sequence[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in named.items()]
