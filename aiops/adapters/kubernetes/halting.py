"""The end of a daemon that runs as a Deployment: scaled to nothing, and gone."""

from __future__ import annotations

from dataclasses import dataclass

from aiops.adapters.kubernetes.connection import KubernetesOptions, api_client
from aiops.adapters.kubernetes.http import MERGE_PATCH, Call, Http, NotFoundThere, cause, refusal
from aiops.errors import ClusterUnavailable


@dataclass(frozen=True, slots=True)
class Halting:
    """One Deployment. It needs `get` and `patch` on its scale, and to list the pods of its namespace."""

    http: Http
    namespace: str
    name: str

    @classmethod
    def connect(cls, options: KubernetesOptions, namespace: str, name: str) -> Halting:
        """Return who stops it, with connections of its own; raise ConfigurationError."""
        return cls(Http(api_client(options)), namespace, name)

    def scale_to_none(self) -> str | None:
        """Ask for no replicas, and return the selector of its pods; None where there is no such Deployment."""
        from urllib3.exceptions import HTTPError

        path = f"/apis/apps/v1/namespaces/{self.namespace}/deployments/{self.name}/scale"
        body = {"spec": {"replicas": 0}}
        try:
            selector = str((self.http.get(path).get("status") or {}).get("selector") or "")
            answer = self.http.send(Call(method="PATCH", path=path, body=body, content_type=MERGE_PATCH))
        except NotFoundThere:
            return None
        except HTTPError as err:
            raise ClusterUnavailable(f"{self.http.host}: {cause(err)}") from err
        if answer.status == 404:
            return None
        if answer.status >= 300:
            raise refusal(answer, f"patch {path}")
        return selector

    def pods(self, selector: str) -> list[str]:
        """Return the names of its pods, those that are ending, too; what has ended by itself is none."""
        found = self.http.get(f"/api/v1/namespaces/{self.namespace}/pods", labelSelector=selector)
        alive = (one for one in found.get("items") or () if _runs(one))
        return sorted(str((one.get("metadata") or {}).get("name")) for one in alive)


def _runs(pod: object) -> bool:
    status = pod.get("status") if isinstance(pod, dict) else None
    phase = status.get("phase") if isinstance(status, dict) else None
    return phase not in ("Succeeded", "Failed")
