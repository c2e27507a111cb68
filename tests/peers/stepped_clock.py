"""A wall clock for one process alone, which can be stepped while it runs; its monotonic clock goes on as it is."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

from peers.parts import program

_SOURCE = """
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t *offset;

__attribute__((constructor)) static void begin(void)
{
    int file = open(getenv("STEPPED_BY"), O_RDONLY);
    offset = mmap(NULL, sizeof *offset, PROT_READ, MAP_SHARED, file, 0);
    close(file);
}

int clock_gettime(clockid_t which, struct timespec *now)
{
    int result = syscall(SYS_clock_gettime, which, now);
    if (result == 0 && offset && (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE))
        now->tv_sec += *offset;
    return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    struct timespec fine;
    int result = clock_gettime(CLOCK_REALTIME, &fine);
    now->tv_sec = fine.tv_sec;
    now->tv_usec = fine.tv_nsec / 1000;
    return result;
}

time_t time(time_t *now)
{
    struct timespec fine;
    clock_gettime(CLOCK_REALTIME, &fine);
    if (now)
        *now = fine.tv_sec;
    return fine.tv_sec;
}
"""


class SteppedClock:
    """Everything in a process started with :attr:`env` sees this clock, gRPC's own code too. Needs a C compiler."""

    def __init__(self, folder: Path) -> None:
        self._offset = folder / "offset"
        self.step_to(0)
        source, library = folder / "clock.c", folder / "clock.so"
        source.write_text(_SOURCE)
        subprocess.run([program("cc"), "-O2", "-fPIC", "-shared", "-o", str(library), str(source)], check=True)
        self.env = {"LD_PRELOAD": str(library), "STEPPED_BY": str(self._offset)}

    def step_to(self, seconds: int) -> None:
        """Set it to as many seconds ahead of the true time, in one step."""
        with self._offset.open("r+b" if self._offset.exists() else "wb") as file:
            file.write(struct.pack("=q", seconds))
