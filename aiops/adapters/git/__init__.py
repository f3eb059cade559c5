"""Files in Git from which Argo CD, Flux or Terraform make what runs: read, and written by one commit at a time."""

from aiops.adapters.git.options import RepositoryOptions
from aiops.adapters.git.places import Format, Placement, placement
from aiops.adapters.git.repositories import GitRepositories
from aiops.adapters.git.repository import Numbers, Repository

__all__ = ["Format", "GitRepositories", "Numbers", "Placement", "Repository", "RepositoryOptions", "placement"]
