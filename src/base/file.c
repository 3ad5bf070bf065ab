#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

sv_status sv_file_read(const char *path, size_t limit, char **data, size_t *size, sv_error *err) {
    *data = NULL;
    *size = 0;
    if (!limit) limit = (size_t)4 << 30;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR)) return sv_fail(err, SV_E_INPUT, path, "no such file");
    if (fd < 0) return sv_fail_errno(err, path, "cannot open");
    struct stat s;
    sv_status st = SV_OK;
    char *buf = NULL;
    if (fstat(fd, &s) != 0) {
        st = sv_fail_errno(err, path, "cannot read");
        goto done;
    }
    if (S_ISDIR(s.st_mode)) {
        st = sv_fail(err, SV_E_INPUT, path, "is a directory, a file was expected");
        goto done;
    }
    size_t capacity = S_ISREG(s.st_mode) && s.st_size > 0 ? (size_t)s.st_size + 1 : 1 << 16, n = 0;
    if (S_ISREG(s.st_mode) && (uint64_t)s.st_size > limit) {
        st = sv_fail(err, SV_E_INPUT, path, "is %lld bytes long, more than the %zu that are allowed here", (long long)s.st_size, limit);
        goto done;
    }
    buf = malloc(capacity);
    while (buf) {
        ssize_t got = read(fd, buf + n, capacity - n - 1);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) {
            st = sv_fail_errno(err, path, "cannot read");
            goto done;
        }
        if (got == 0) break;
        n += (size_t)got;
        if (n > limit) {
            st = sv_fail(err, SV_E_INPUT, path, "is longer than the %zu bytes that are allowed here", limit);
            goto done;
        }
        if (capacity - n <= 1) {
            char *more = realloc(buf, capacity * 2);
            if (!more) free(buf);
            buf = more;
            capacity *= 2;
        }
    }
    if (!buf) {
        st = sv_fail_memory(err, path, capacity);
        goto done;
    }
    buf[n] = 0;
    *data = buf;
    *size = n;
    buf = NULL;
done:
    free(buf);
    close(fd);
    return st;
}

sv_status sv_file_map(const char *path, void **map, size_t *size, sv_error *err) {
    *map = NULL;
    *size = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat s;
    if (fd < 0) return errno == ENOENT ? sv_fail(err, SV_E_MODEL, path, "there is no such file") : sv_fail_errno(err, path, "cannot open");
    sv_status st = SV_OK;
    if (fstat(fd, &s) != 0) st = sv_fail_errno(err, path, "cannot read");
    else if (!S_ISREG(s.st_mode) || s.st_size == 0) st = sv_fail(err, SV_E_MODEL, path, S_ISREG(s.st_mode) ? "is empty" : "is not a regular file");
    if (st == SV_OK) {
        void *all = mmap(NULL, (size_t)s.st_size, PROT_READ, MAP_SHARED, fd, 0);
        if (all == MAP_FAILED) st = sv_fail_errno(err, path, "cannot map into memory");
        else *map = all, *size = (size_t)s.st_size;
    }
    close(fd);
    return st;
}

sv_status sv_dir_sync(const char *path, sv_error *err) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return sv_fail_errno(err, path, "cannot open");
    int bad = fsync(fd) != 0 && errno != EINVAL;   /* some file systems cannot sync a directory */
    sv_status st = bad ? sv_fail_errno(err, path, "cannot sync") : SV_OK;
    close(fd);
    return st;
}

/* Writes, syncs and renames `tmp` to `path`; removes tmp on failure. */
static sv_status write_and_rename(const char *tmp, const char *path, const void *data, size_t size, sv_error *err) {
    int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) return sv_fail_errno(err, path, "cannot create");
    const char *p = data;
    sv_status st = SV_OK;
    while (size) {
        ssize_t n = write(fd, p, size);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            st = sv_fail_errno(err, path, "cannot write");
            break;
        }
        p += n;
        size -= (size_t)n;
    }
    if (st == SV_OK && fsync(fd) != 0) st = sv_fail_errno(err, path, "cannot write");
    if (close(fd) != 0 && st == SV_OK) st = sv_fail_errno(err, path, "cannot write");
    if (st == SV_OK && rename(tmp, path) != 0) st = sv_fail_errno(err, path, "cannot rename into place");
    if (st != SV_OK) {
        unlink(tmp);
        return st;
    }
    char *dir = sv_path_dir(path);
    if (!dir) return sv_fail_memory(err, path, 0);
    st = sv_dir_sync(dir, err);
    free(dir);
    return st;
}

sv_status sv_file_write_via(const char *tmp_dir, const char *path, const void *data, size_t size, sv_error *err) {
    static atomic_uint serial;
    sv_buf tmp = {0};
    sv_buf_printf(&tmp, "%s/%ld-%u.tmp", tmp_dir, (long)getpid(), atomic_fetch_add(&serial, 1));
    sv_status st = sv_buf_ok(&tmp, err);
    if (st == SV_OK) st = write_and_rename(tmp.data, path, data, size, err);
    sv_buf_free(&tmp);
    return st;
}

sv_status sv_file_write_atomic(const char *path, const void *data, size_t size, sv_error *err) {
    char *dir = sv_path_dir(path);
    if (!dir) return sv_fail_memory(err, path, 0);
    sv_status st = sv_file_write_via(dir, path, data, size, err);
    free(dir);
    return st;
}

sv_status sv_dir_make(const char *path, sv_error *err) {
    char *copy = sv_strdup(path);
    if (!copy) return sv_fail_memory(err, path, 0);
    sv_status st = SV_OK;
    for (char *p = copy + 1; *copy && st == SV_OK; p++) {
        if (*p && *p != '/') continue;
        char c = *p;
        *p = 0;
        if (mkdir(copy, 0777) != 0) {
            struct stat s;
            int code = errno;
            if (code != EEXIST)
                st = sv_fail_errno(err, copy, "cannot create the directory");
            else if (stat(copy, &s) == 0 && !S_ISDIR(s.st_mode))
                st = sv_fail(err, SV_E_IO, copy, "cannot create the directory: a file of that name is in the way");
        }
        *p = c;
        if (!c) break;
    }
    free(copy);
    return st;
}

/* Removes a file or a directory tree, never following symbolic links. */
static sv_status remove_tree(int at, const char *name, const char *shown, sv_error *err) {
    if (unlinkat(at, name, 0) == 0 || errno == ENOENT) return SV_OK;
    if (errno != EISDIR && errno != EPERM) return sv_fail_errno(err, shown, "cannot remove");
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return sv_fail_errno(err, shown, "cannot remove");
    DIR *d = fdopendir(fd);
    if (!d) {
        close(fd);
        return sv_fail_errno(err, shown, "cannot remove");
    }
    sv_status st = SV_OK;
    for (struct dirent *e; st == SV_OK && (e = readdir(d));)
        if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..")) st = remove_tree(dirfd(d), e->d_name, shown, err);
    closedir(d);
    if (st == SV_OK && unlinkat(at, name, AT_REMOVEDIR) != 0) st = sv_fail_errno(err, shown, "cannot remove");
    return st;
}

sv_status sv_dir_empty(const char *path, sv_error *err) {
    DIR *d = opendir(path);
    if (!d) return errno == ENOENT ? SV_OK : sv_fail_errno(err, path, "cannot open the directory");
    sv_status st = SV_OK;
    for (struct dirent *e; st == SV_OK && (e = readdir(d));)
        if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..")) st = remove_tree(dirfd(d), e->d_name, path, err);
    closedir(d);
    return st;
}

bool sv_file_exists(const char *path) {
    struct stat s;
    return stat(path, &s) == 0;
}

bool sv_is_dir(const char *path) {
    struct stat s;
    return stat(path, &s) == 0 && S_ISDIR(s.st_mode);
}

bool sv_is_file(const char *path) {
    struct stat s;
    return stat(path, &s) == 0 && S_ISREG(s.st_mode);
}

char *sv_path_join(const char *dir, const char *name) {
    if (!dir || !*dir || name[0] == '/') return sv_strdup(name);
    sv_buf b = {0};
    sv_buf_printf(&b, "%s%s%s", dir, sv_str_ends(dir, "/") ? "" : "/", name);
    if (b.failed) sv_buf_free(&b);
    return b.data;
}

char *sv_path_dir(const char *path) {
    const char *slash = strrchr(path, '/');
    if (!slash) return sv_strdup(".");
    if (slash == path) return sv_strdup("/");
    return sv_strndup(path, (size_t)(slash - path));
}

const char *sv_path_base(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* The real path of something that may not exist yet: its nearest existing parent made real, the rest appended. */
static char *real_path(const char *path) {
    char *real = realpath(path, NULL);
    if (real || errno != ENOENT) return real;
    char *dir = sv_path_dir(path);
    char *up = dir && strcmp(dir, path) ? real_path(dir) : NULL;
    if (up) real = sv_path_join(up, sv_path_base(path));
    free(dir);
    free(up);
    return real;
}

char *sv_path_relative(const char *path, const char *from_dir) {
    char *to = real_path(path), *from = real_path(from_dir);
    sv_buf out = {0};
    if (to && from) {
        size_t i = 0, common = 0;   /* common: length of the shared leading directories */
        for (; to[i] && to[i] == from[i]; i++)
            if (to[i] == '/') common = i;
        if ((!to[i] || to[i] == '/') && (!from[i] || from[i] == '/')) common = i;
        const char *rest = from + common;
        while (*rest == '/') rest++;
        for (bool part = *rest; part;) {
            sv_buf_puts(&out, "../");
            rest = strchr(rest, '/');
            while (rest && *rest == '/') rest++;
            part = rest && *rest;
        }
        const char *tail = to + common;
        while (*tail == '/') tail++;
        if (*tail)
            sv_buf_puts(&out, tail);
        else if (out.size)
            out.data[--out.size] = 0;   /* nothing follows the last "../" */
        else
            sv_buf_putc(&out, '.');
    }
    free(to);
    free(from);
    if (out.failed) sv_buf_free(&out);
    return out.data;
}

bool sv_path_is_inside(const char *name) {
    if (!*name || *name == '/') return false;
    for (const char *p = name; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7F || *p == '\\') return false;
    for (const char *part = name; part;) {
        const char *end = strchr(part, '/');
        size_t n = end ? (size_t)(end - part) : strlen(part);
        if (n == 2 && part[0] == '.' && part[1] == '.') return false;
        part = end ? end + 1 : NULL;
    }
    return !sv_str_ends(name, "/");
}
