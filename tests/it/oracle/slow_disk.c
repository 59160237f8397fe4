/* A disk that takes its time: writes to a write-ahead log are torn in two, with pauses of up to 3 ms before,
 * between and after, so that kill -9 finds the hub in the middle of a commit. Loaded into it by LD_PRELOAD.
 *
 * SLOW_DISK_SEED draws the pauses; SLOW_DISK_PROOF names a file that is made when the first write was slow.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static unsigned seed;

static int is_wal(int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path);
    return length > 4 && memcmp(path + length - 4, "-wal", 4) == 0;
}

static void pause_a_little(void) {
    if (seed == 0) {
        const char *text = getenv("SLOW_DISK_SEED"), *proof = getenv("SLOW_DISK_PROOF");
        seed = text ? (unsigned)strtoul(text, NULL, 10) | 1 : 1;
        if (proof) close(open(proof, O_CREAT | O_WRONLY, 0600));
    }
    /* Two in three writes pass at once, or a commit of many pages would take for ever. */
    if (rand_r(&seed) % 3) return;
    struct timespec time = {0, rand_r(&seed) % 3000000};
    nanosleep(&time, NULL);
}

static ssize_t slowly(int fd, const char *bytes, size_t count, off_t at) {
    size_t half = count / 2;
    pause_a_little();
    ssize_t first = syscall(SYS_pwrite64, fd, bytes, half, at);
    if (first != (ssize_t)half) return first;
    pause_a_little();
    ssize_t second = syscall(SYS_pwrite64, fd, bytes + half, count - half, at + half);
    if (second < 0) return second;
    pause_a_little();
    return first + second;
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) {
    if (!is_wal(fd)) return syscall(SYS_pwrite64, fd, bytes, count, at);
    return slowly(fd, bytes, count, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) {
    return pwrite(fd, bytes, count, at);
}

ssize_t write(int fd, const void *bytes, size_t count) {
    off_t at;
    if (!is_wal(fd) || (at = lseek(fd, 0, SEEK_CUR)) < 0) return syscall(SYS_write, fd, bytes, count);
    ssize_t written = slowly(fd, bytes, count, at);
    if (written > 0) lseek(fd, at + written, SEEK_SET);
    return written;
}
