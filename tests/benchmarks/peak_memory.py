"""The memory of a process at its worst moment."""

from pathlib import Path

_KILOBYTES_PER_MEGABYTE = 1024


def peak_megabytes() -> float:
    """Resident memory of this process at its highest since its program started, from VmHWM of Linux.

    Not `ru_maxrss`: across exec that keeps the peak of the process that started this one.
    """
    for line in Path("/proc/self/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "VmHWM":
            return int(value.split()[0]) / _KILOBYTES_PER_MEGABYTE
    raise RuntimeError("/proc/self/status tells no VmHWM: this benchmark needs Linux")
