/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mask_key.c - reads without stdio, which would keep a copy of the bytes in memory that is not wiped.
 */
#include "sinks/mapping/mask_key.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cdc/base/shell_word.h"

bool mask_key_init(struct mask_key *key, struct slice bytes, struct error *err) {
    static const char LABEL[] = MASK_DIGITS_LABEL;
    uint8_t derived[HMAC_BYTES];
    *key = (struct mask_key){0};
    if (!hmac_key_init(&key->hash, bytes, err) ||
        !hmac_sign(&key->hash, (struct slice){LABEL, sizeof LABEL - 1}, derived, err))
        return false;
    bool made = ff1_key_init(&key->digits, (struct slice){(const char *) derived, sizeof derived}, err);
    explicit_bzero(derived, sizeof derived);
    return made;
}

void mask_key_release(struct mask_key *key) {
    hmac_key_release(&key->hash); /* OpenSSL wipes what it frees */
    ff1_key_release(&key->digits);
}

static bool refuse_key(const char *path, const char *why, struct error *err) {
    return error_set(err, ERROR_CONFIG, "key_file %s: %s", path, why);
}

static bool refuse_missing(const char *path, struct error *err) {
    refuse_key(path, strerror(ENOENT), err);
    return error_remedy(
        err,
        "put the key there; or make one: (umask 077 && head -c 32 /dev/urandom > %s); a new key "
        "gives the same values other masks than the old one",
        shell_word_of_file(path).text);
}

static bool refuse_closed(const char *path, int reason, struct error *err) {
    refuse_key(path, strerror(reason), err);
    return reason == EACCES &&
           error_remedy(err, "make the user that runs pgcdc the owner of the file, and let "
                             "it enter the directories above");
}

static bool refuse_open(const char *path, struct error *err) {
    refuse_key(path, "users other than its owner may read or change it", err);
    return error_remedy(err, "chmod go= %s; the user that runs pgcdc must own it",
                        shell_word_of_file(path).text);
}

static bool refuse_size(const char *path, const char *why, struct error *err) {
    refuse_key(path, why, err);
    return error_remedy(err, "name a file of 16 to 1024 random bytes, as from: head -c 32 /dev/urandom");
}

static bool check_mode(int fd, const char *path, struct error *err) {
    struct stat file;
    if (fstat(fd, &file) != 0)
        return refuse_key(path, strerror(errno), err);
    if (!S_ISREG(file.st_mode))
        return refuse_key(path, "it is no regular file", err) ||
               error_remedy(err, "name the file of the key");
    return (file.st_mode & (S_IRWXG | S_IRWXO)) == 0 ? true : refuse_open(path, err);
}

/* Reads up to the end of the file, or until the room is full; -1: errno holds the reason. */
static ssize_t read_all(int fd, char *bytes, size_t room) {
    size_t size = 0;
    while (size < room) {
        ssize_t got = read(fd, bytes + size, room - size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        size += (size_t) got;
    }
    return (ssize_t) size;
}

static bool take_bytes(const char *path, struct slice bytes, struct arena *arena, struct mask_key **ret_key,
                       struct error *err) {
    if (bytes.size == 0)
        return refuse_size(path, "it is empty", err);
    if (bytes.size < MASK_KEY_BYTES_MIN)
        return refuse_size(path, "it has fewer than 16 bytes", err);
    if (bytes.size > MASK_KEY_BYTES_MAX)
        return refuse_size(path, "it has more than 1024 bytes", err);
    struct mask_key *key = arena_alloc(arena, sizeof *key);
    if (key == NULL)
        return error_no_memory(err);
    if (!mask_key_init(key, bytes, err)) {
        mask_key_release(key);
        return error_wrap(err, "key_file %s", path);
    }
    *ret_key = key;
    return true;
}

static bool read_key(int fd, const char *path, struct arena *arena, struct mask_key **ret_key,
                     struct error *err) {
    char bytes[MASK_KEY_BYTES_MAX + 1]; /* one byte more than fits, to detect a file that is too long */
    ssize_t size = read_all(fd, bytes, sizeof bytes);
    bool taken = size < 0 ? refuse_key(path, strerror(errno), err)
                          : take_bytes(path, (struct slice){bytes, (size_t) size}, arena, ret_key, err);
    explicit_bzero(bytes, sizeof bytes);
    return taken;
}

bool mask_key_read(const char *path, struct arena *arena, struct mask_key **ret_key, struct error *err) {
    /* Without O_NONBLOCK a named pipe would be waited for. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return errno == ENOENT ? refuse_missing(path, err) : refuse_closed(path, errno, err);
    bool done = check_mode(fd, path, err) && read_key(fd, path, arena, ret_key, err);
    close(fd);
    return done;
}
