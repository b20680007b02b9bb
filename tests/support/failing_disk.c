/* Makes calls to the disk fail with an error number, at random, while a file exists. Loaded by LD_PRELOAD.

   FAILING_DISK="fdatasync:0.02:5,pwrite:0.005:28"  call:probability:errno
   FAILING_DISK_WHILE=/path                         nothing fails unless this file exists

   libfiu would do, but its function hash_create is taken by the one of PostgreSQL's, and both crash. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static int fails(const char *call) {
    const char *points = getenv("FAILING_DISK"), *gate = getenv("FAILING_DISK_WHILE");
    static __thread unsigned int seed;
    char wanted[40];
    double probability;
    int number;
    const char *found;
    if (!points || !gate || syscall(SYS_access, gate, F_OK) != 0) return 0;
    snprintf(wanted, sizeof wanted, "%s:", call);
    for (found = strstr(points, wanted); found; found = strstr(found + 1, wanted))
        if (found == points || found[-1] == ',') break;
    if (!found || sscanf(found + strlen(wanted), "%lf:%d", &probability, &number) != 2) return 0;
    if (!seed) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        seed = (unsigned int)now.tv_nsec ^ ((unsigned int)getpid() << 12) ^ 1u;
    }
    if ((double)rand_r(&seed) / RAND_MAX >= probability) return 0;
    errno = number;
    return 1;
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int fsync(int fd) { return fails("fsync") ? -1 : NEXT(fsync)(fd); }
int fdatasync(int fd) { return fails("fdatasync") ? -1 : NEXT(fdatasync)(fd); }
ssize_t write(int fd, const void *data, size_t size) { return fails("write") ? -1 : NEXT(write)(fd, data, size); }
ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
    return fails("pwrite") ? -1 : NEXT(pwrite)(fd, data, size, at);
}
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
    return fails("pwrite") ? -1 : NEXT(pwrite64)(fd, data, size, at);
}
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) {
    return fails("pwrite") ? -1 : NEXT(pwritev)(fd, parts, count, at);
}
int rename(const char *from, const char *to) { return fails("rename") ? -1 : NEXT(rename)(from, to); }
