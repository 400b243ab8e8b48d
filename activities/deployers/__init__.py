"""The ways to put a certificate where it is served, by the policy's word for the kind of target."""

from collections.abc import Callable

from activities.deployers.base import Bundle, Deployer, DeployerParts
from activities.deployers.file import FileDeployer

DEPLOYERS: dict[str, Callable[[DeployerParts], Deployer]] = {
    "file": FileDeployer,
}

__all__ = ["DEPLOYERS", "Bundle", "Deployer", "DeployerParts"]
