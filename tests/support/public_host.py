"""A public address on this machine: in a network of this process's own, where 93.184.215.14 is an address of its loopback device."""

from __future__ import annotations

import fcntl
import socket
import struct

from redrive.flows.documents.confinement import leave_network

#: example.com's, of old.
ADDRESS = "93.184.215.14"

# <linux/sockios.h>, <linux/if.h>
_SIOCSIFFLAGS, _SIOCSIFADDR, _UP = 0x8914, 0x8916, 0x1


def become_public_host() -> bool:
    """Leave the machine's network for one with that address; whether that was possible. Only for a process with one thread."""
    if not leave_network():
        return False
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh", b"lo", _UP))
        address = struct.pack("HH4s8x", socket.AF_INET, 0, socket.inet_aton(ADDRESS))
        fcntl.ioctl(any_socket, _SIOCSIFADDR, struct.pack("16s", b"lo:1") + address)
    return True
