"""Addresses in a stack's configuration: of IP version 4, as the cluster's own routes and its virtual IP are."""

from ipaddress import IPv4Address, IPv4Network, ip_interface, ip_network
from typing import Annotated

from pydantic import BeforeValidator


def check_version(value: object) -> object:
    """Return what is given. Raises ValueError with the remedy for an IPv6 address or network, and for a host's name."""
    if isinstance(value, str):
        try:
            version = ip_interface(value.partition("%")[0].strip("[]")).version
        except ValueError:
            raise ValueError("must be an IPv4 address, not a host's name or anything else") from None
        if version != 4:
            raise ValueError("IPv6 is not supported: give an IPv4 address (a machine may have both)")
    return value


def check_alone(value: object) -> object:
    """Return what is given. Raises ValueError with the remedy for an address with the length of its network."""
    if isinstance(value, str) and "/" in value:
        raise ValueError(f"must be one address, {value.partition('/')[0]}, without the length of its network")
    return value


def check_network(value: object) -> object:
    """Return what is given. Raises ValueError with the remedy for an address in a network."""
    if isinstance(value, str) and "/" in value:
        network = ip_network(value, strict=False)
        if str(network.network_address) != value.partition("/")[0]:
            raise ValueError(f"must be a network, {network}, and not an address in it")
    return value


# The last validator is the first that looks at a value.
Address = Annotated[IPv4Address, BeforeValidator(check_alone), BeforeValidator(check_version)]
AddressRange = Annotated[IPv4Network, BeforeValidator(check_network), BeforeValidator(check_version)]
