/* Sets a process's clock wrong, whatever the system's says. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t id, struct timespec *t) {
    long failed = syscall(SYS_clock_gettime, id, t);
    const char *skew = getenv("INVENTIV_TEST_SKEW_SECONDS");
    if (failed == 0 && id == CLOCK_REALTIME && skew != NULL) {
        t->tv_sec += atol(skew);
    }
    return (int)failed;
}
