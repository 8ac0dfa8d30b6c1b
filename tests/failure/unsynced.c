/* Preloaded into a process: writes down what it writes and what it syncs, so that a test can take away
 * from the disk what a power cut could. One line an event, in the order of events:
 *
 *   W inode offset length     before bytes are written
 *   F inode size              after a file was synced: all written before is on the disk
 *   D inode                   after a directory was synced; the lines N inode, one for each of its names, come before it
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static int journal = -1;
static ssize_t (*real_write)(int, const void *, size_t);

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("UNSYNCED_JOURNAL");
    real_write = dlsym(RTLD_NEXT, "write");
    if (path) journal = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static void note(const char *format, ...) {
    char line[96];
    va_list values;
    va_start(values, format);
    int length = vsnprintf(line, sizeof line, format, values);
    va_end(values);
    if (real_write(journal, line, length) != length) abort();
}

static int is_file(int fd, struct stat *found) {
    return journal >= 0 && fd != journal && fstat(fd, found) == 0 && S_ISREG(found->st_mode);
}

static void will_write(int fd, off_t offset, size_t length) {
    struct stat found;
    if (!is_file(fd, &found)) return;
    if (offset < 0) offset = fcntl(fd, F_GETFL) & O_APPEND ? found.st_size : lseek(fd, 0, SEEK_CUR);
    note("W %lu %ld %zu\n", found.st_ino, (long)offset, length);
}

static void has_synced(int fd) {
    struct stat found;
    if (journal < 0 || fstat(fd, &found)) return;
    if (S_ISREG(found.st_mode)) note("F %lu %ld\n", found.st_ino, (long)found.st_size);
    if (!S_ISDIR(found.st_mode)) return;
    int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *names = copy < 0 ? NULL : fdopendir(copy);
    if (!names) return;
    for (struct dirent *each; (each = readdir(names));)
        if (each->d_type == DT_REG) note("N %lu\n", each->d_ino);
    closedir(names);
    note("D %lu\n", found.st_ino);
}

#define REAL(name) __typeof__(name) *real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

ssize_t write(int fd, const void *data, size_t length) {
    will_write(fd, -1, length);
    return real_write(fd, data, length);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    REAL(writev);
    size_t length = 0;
    for (int n = 0; n < count; n++) length += parts[n].iov_len;
    will_write(fd, -1, length);
    return real(fd, parts, count);
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) {
    REAL(pwrite);
    will_write(fd, offset, length);
    return real(fd, data, length, offset);
}

ssize_t pwrite64(int fd, const void *data, size_t length, off64_t offset) {
    REAL(pwrite64);
    will_write(fd, offset, length);
    return real(fd, data, length, offset);
}

int fsync(int fd) {
    REAL(fsync);
    int failed = real(fd);
    if (!failed) has_synced(fd);
    return failed;
}

int fdatasync(int fd) {
    REAL(fdatasync);
    int failed = real(fd);
    if (!failed) has_synced(fd);
    return failed;
}

/* The engine is loaded so that it looks for functions in the C library first, and not here. */
void *dlopen(const char *path, int flags) {
    REAL(dlopen);
    return real(path, flags & ~RTLD_DEEPBIND);
}
