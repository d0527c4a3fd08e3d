"""Addresses in a stack's configuration: of IP version 4, as the cluster's own routes and its virtual IP are."""

from ipaddress import IPv4Address, IPv4Network, ip_interface
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


Address = Annotated[IPv4Address, BeforeValidator(check_version)]
AddressRange = Annotated[IPv4Network, BeforeValidator(check_version)]
