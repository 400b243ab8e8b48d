"""What the scope and the targets of a policy are refused for: where we look, and where we write."""

import re
from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from domain.policy_problem import Path, Problem
from domain.tiers import Policy, TargetRule

# One discovery of a scope: 1,048,576 sockets is the most that pages of 256 keep readable in Temporal.
MAX_TARGETS = 1 << 20
PLACEHOLDERS = frozenset({"address", "port", "sni", "algorithm", "path", "stem"})
_ACCOUNT = r"[A-Za-z_][A-Za-z0-9_.-]{0,63}"
_OWNER = re.compile(rf"{_ACCOUNT}(:{_ACCOUNT})?|:{_ACCOUNT}")
_LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST = re.compile(rf"(?=.{{1,253}}$){_LABEL}(\.{_LABEL})*")


def targets(policy: Policy) -> Iterator[Problem]:
    for index, target in enumerate(policy.targets):
        path: Path = ("targets", index)
        yield from _templates(path, target)
        yield from _one_key_for_many(path, target)
        yield from _key_file(path, target)


def _templates(path: Path, target: TargetRule) -> Iterator[Problem]:
    texts = {"chain": target.chain, "key": target.key, "reload": " ".join(target.reload)}
    for field, text in texts.items():
        strange = set(re.findall(r"\{([^{}]*)\}", text)) - PLACEHOLDERS
        if strange:
            known = ", ".join(f"{{{name}}}" for name in sorted(PLACEHOLDERS))
            yield Problem((*path, field), f"{{{min(strange)}}} is not a placeholder", f"Use {known}.")
    for field in ("chain", "key"):
        if not texts[field].startswith(("/", "{path}", "{stem}")):
            told = "is not an absolute path"
            yield Problem((*path, field), told, "Begin with /, or with {path} or {stem} for files.")
        if texts[field].endswith("/") or {"..", "."} & set(texts[field].split("/")):
            yield Problem((*path, field), "is not the plain path of a file", "End with a name, and write no . or .. .")
    if target.reload and "{" in target.reload[0]:
        told = "lets what was seen outside choose the program"
        yield Problem((*path, "reload", 0), told, "Write the program out; placeholders may stand in its arguments.")


def _one_key_for_many(path: Path, target: TargetRule) -> Iterator[Problem]:
    """One key file for several chains: whatever is renewed last would take the others' key away."""
    # A place that the matcher names whole does not vary: one port, one name.
    fixed = {word for word, values in (("port", target.when.ports), ("sni", target.when.names)) if len(values) == 1}
    if any("*" in name or "?" in name or "[" in name for name in target.when.names):
        fixed.discard("sni")
    if len(target.when.hosts) == 1 and _is_one_address(target.when.hosts[0]):
        fixed.add("address")
    if len(target.when.paths) == 1 and not set("*?[") & set(target.when.paths[0]):
        fixed |= {"path", "stem"}
    chain, key = (set(re.findall(r"\{([^{}]*)\}", text)) & PLACEHOLDERS - fixed for text in (target.chain, target.key))
    if chain and not key:
        told = f"is one file for every chain that {{{min(chain)}}} names: their certificates would share it"
        remedy = f"Write {{{min(chain)}}} into the key as well, or one target for each place."
        yield Problem((*path, "key"), told, remedy)


def _is_one_address(cidr: str) -> bool:
    try:
        return ip_network(cidr).num_addresses == 1
    except ValueError:
        # Told of the matcher.
        return False


def _key_file(path: Path, target: TargetRule) -> Iterator[Problem]:
    if target.owner and not _OWNER.fullmatch(target.owner):
        yield Problem((*path, "owner"), f"{target.owner!r} is no account", "Write user, user:group or :group.")
    if target.mode & 0o007:
        yield Problem((*path, "mode"), "lets others read the key", 'Write mode: "0600", or "0640" with a group.')
    elif target.mode & 0o070 and ":" not in target.owner:
        told = "lets a group read the key, but names none"
        yield Problem((*path, "mode"), told, 'Write mode: "0600", or owner: user:group (or :group) beside "0640".')
    elif target.mode & 0o130 or not target.mode & 0o400:
        yield Problem((*path, "mode"), "is not a mode for a key", 'Write mode: "0600", "0400", "0640" or "0440".')


def scope(policy: Policy) -> Iterator[Problem]:
    networks: list[IPv4Network | IPv6Network] = []
    for index, cidr in enumerate(policy.scope.cidrs):
        try:
            networks.append(ip_network(cidr))
        except ValueError as error:
            yield Problem(("scope", "cidrs", index), f"{cidr!r}: {error}", "Write for example 10.0.4.0/24.")
    for index, port in enumerate(policy.scope.ports):
        if not 0 < port < 65536:
            yield Problem(("scope", "ports", index), f"{port} is not a port", "Write a number from 1 to 65535.")
    hosts, ports = sum(network.num_addresses for network in networks), len(policy.scope.ports)
    if hosts * ports > MAX_TARGETS:
        told = f"{hosts} addresses and {ports} ports are more than {MAX_TARGETS} sockets"
        yield Problem(("scope", "cidrs"), told, "Write narrower CIDRs, or fewer ports.")
    if policy.scope.cidrs and not policy.scope.ports:
        told = "is empty, so nothing is looked at over the network"
        yield Problem(("scope", "ports"), told, "Write for example [443, 8443], or leave cidrs out.")
    if policy.scope.names and not policy.scope.cidrs:
        yield Problem(("scope", "names"), "are asked for nowhere without cidrs", "Add cidrs and ports.")
    else:
        yield from _names(policy, networks)
    for index, path in enumerate(policy.scope.paths):
        if not path.startswith("/") or ".." in path.split("/"):
            yield Problem(("scope", "paths", index), f"{path!r} is not absolute", "Write /etc/ssl/*.pem.")


def _names(policy: Policy, networks: list[IPv4Network | IPv6Network]) -> Iterator[Problem]:
    for index, entry in enumerate(policy.scope.names):
        path: Path = ("scope", "names", index)
        name, at, address = entry.partition("@")
        if not _HOST.fullmatch(name):
            yield Problem(path, f"{name!r} is not a host name", "Write pay.example.org, or pay.example.org@10.0.4.7.")
        if not at:
            continue
        try:
            inside = any(ip_address(address) in network for network in networks)
        except ValueError:
            told = f"{address!r} is not an address"
            yield Problem(path, told, "Write name@10.0.4.7, or the name alone: DNS is asked where it is.")
            continue
        if not inside:
            told = f"{address} is outside the cidrs of the scope, so it is never asked for the name"
            yield Problem(path, told, "Add its CIDR, or leave the name out.")
