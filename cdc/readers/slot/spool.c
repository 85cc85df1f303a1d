/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spool.c - lsn u64, xid u32, size u32, bytes for each message, in the machine's byte order: no other process
 * reads it.
 */
#include "cdc/readers/slot/spool.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FRAME_BYTES = 1024 * 1024, LEVEL = 1 };
#define FILE_BYTES_MAX (FRAME_PLAIN_BYTES_MAX + (size_t) 64 * 1024 * 1024)

struct spool_head {
    lsn_t lsn;
    xid_t xid;
    uint32_t size;
};

struct spool_transaction {
    xid_t xid;
    int fd;
    uint64_t size;
    xid_t *aborted; /* subtransactions */
    size_t aborted_count;
};

/* ---- life ---- */

bool spool_init(struct spool *spool, const char *directory, struct error *err) {
    *spool = (struct spool){.directory = directory, .packer = frame_packer_new(LEVEL)};
    buffer_init(&spool->plain, FRAME_PLAIN_BYTES_MAX);
    buffer_init(&spool->file, FILE_BYTES_MAX);
    buffer_init(&spool->frame, FRAME_PLAIN_BYTES_MAX);
    return spool->packer != NULL || error_no_memory(err);
}

static void transaction_free(struct spool_transaction *transaction) {
    if (transaction->fd >= 0)
        close(transaction->fd);
    free(transaction->aborted);
    free(transaction);
}

void spool_release(struct spool *spool) {
    for (size_t i = 0; i < spool->count; i++)
        transaction_free(spool->transactions[i]);
    free(spool->transactions);
    frame_packer_free(spool->packer);
    buffer_release(&spool->plain);
    buffer_release(&spool->file);
    buffer_release(&spool->frame);
    *spool = (struct spool){0};
}

/* ---- transactions ---- */

static struct spool_transaction *find_transaction(const struct spool *spool, xid_t xid) {
    for (size_t i = 0; i < spool->count; i++)
        if (spool->transactions[i]->xid == xid)
            return spool->transactions[i];
    return NULL;
}

static void drop_transaction(struct spool *spool, struct spool_transaction *transaction) {
    for (size_t i = 0; i < spool->count; i++)
        if (spool->transactions[i] == transaction)
            spool->transactions[i] = spool->transactions[--spool->count];
    transaction_free(transaction);
}

static bool spool_errno(const struct spool *spool, struct error *err) {
    return error_errno(err, "the spool of open transactions in %s", spool->directory);
}

static bool make_room(struct spool *spool, struct error *err) {
    if (spool->count < spool->capacity)
        return true;
    const size_t capacity = spool->capacity == 0 ? 16 : spool->capacity * 2;
    struct spool_transaction **transactions =
        reallocarray(spool->transactions, capacity, sizeof *transactions);
    if (transactions == NULL)
        return error_no_memory(err);
    spool->transactions = transactions;
    spool->capacity = capacity;
    return true;
}

/* Not every file system has files without a name. */
static int open_file(const char *directory) {
    char path[PATH_MAX];
    int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR))
        return fd;
    if (snprintf(path, sizeof path, "%s/pgcdc-spool-XXXXXX", directory) >= (int) sizeof path)
        return -1;
    fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0)
        unlink(path);
    return fd;
}

static bool add_transaction(struct spool *spool, xid_t xid, struct error *err) {
    struct spool_transaction *transaction = calloc(1, sizeof *transaction);
    if (transaction == NULL || !make_room(spool, err)) {
        free(transaction);
        return error_no_memory(err);
    }
    transaction->xid = xid;
    transaction->fd = open_file(spool->directory);
    spool->transactions[spool->count++] = transaction;
    return transaction->fd >= 0 || spool_errno(spool, err);
}

/* ---- writing ---- */

bool spool_start(struct spool *spool, xid_t xid, struct error *err) {
    if (spool->streamed != NULL)
        return error_set(err, ERROR_PROTOCOL, "source: a Stream Start inside a stream");
    if (find_transaction(spool, xid) == NULL && !add_transaction(spool, xid, err))
        return false;
    spool->streamed = find_transaction(spool, xid);
    buffer_reset(&spool->plain);
    return true;
}

bool spool_retry(struct spool *spool, struct error *err) {
    struct spool_transaction *transaction = spool->unwritten_of;
    struct slice *left = &spool->unwritten;
    while (left->size > 0) {
        const ssize_t written = pwrite(transaction->fd, left->data, left->size, (off_t) transaction->size);
        if (written < 0 && (errno == ENOSPC || errno == EDQUOT))
            return true;
        if (written < 0 && errno != EINTR)
            return spool_errno(spool, err);
        if (written > 0) {
            left->data += written;
            left->size -= (size_t) written;
            transaction->size += (uint64_t) written;
        }
    }
    return true;
}

static bool flush(struct spool *spool, struct error *err) {
    struct frame frame = {.kind = FRAME_ENTRIES};
    assert(!spool_is_full(spool));
    if (spool->plain.size == 0)
        return true;
    buffer_reset(&spool->file);
    if (!frame_pack(spool->packer, &frame, buffer_slice(&spool->plain), &spool->file, err))
        return false;
    buffer_reset(&spool->plain);
    spool->unwritten = buffer_slice(&spool->file);
    spool->unwritten_of = spool->streamed;
    return spool_retry(spool, err);
}

bool spool_add(struct spool *spool, const struct spool_message *message, struct error *err) {
    const struct spool_head head = {
        .lsn = message->lsn, .xid = message->xid, .size = (uint32_t) message->bytes.size};
    assert(spool->streamed != NULL);
    buffer_append(&spool->plain, &head, sizeof head);
    buffer_append_slice(&spool->plain, message->bytes);
    if (!buffer_ok(&spool->plain))
        return error_no_memory(err);
    return spool->plain.size < FRAME_BYTES || flush(spool, err);
}

bool spool_stop(struct spool *spool, struct error *err) {
    if (spool->streamed == NULL)
        return error_set(err, ERROR_PROTOCOL, "source: a Stream Stop outside a stream");
    if (!flush(spool, err))
        return false;
    spool->streamed = NULL;
    return true;
}

/* ---- ends ---- */

bool spool_abort(struct spool *spool, xid_t xid, xid_t subxid, struct error *err) {
    struct spool_transaction *transaction = find_transaction(spool, xid);
    if (spool->streamed != NULL)
        return error_set(err, ERROR_PROTOCOL, "source: a Stream Abort inside a stream");
    if (transaction == NULL)
        return true;
    if (subxid == xid) {
        drop_transaction(spool, transaction);
        return true;
    }
    xid_t *aborted = reallocarray(transaction->aborted, transaction->aborted_count + 1, sizeof *aborted);
    if (aborted == NULL)
        return error_no_memory(err);
    aborted[transaction->aborted_count++] = subxid;
    transaction->aborted = aborted;
    return true;
}

static int compare_xids(const void *a, const void *b) {
    const xid_t left = *(const xid_t *) a;
    const xid_t right = *(const xid_t *) b;
    return left < right ? -1 : left > right;
}

bool spool_replay(struct spool *spool, xid_t xid, struct error *err) {
    if (spool->streamed != NULL || spool->replayed != NULL)
        return error_set(err, ERROR_PROTOCOL, "source: a Stream Commit inside a stream");
    spool->replayed = find_transaction(spool, xid);
    spool->offset = 0;
    spool->left = (struct slice){0};
    if (spool->replayed != NULL && spool->replayed->aborted_count > 0)
        qsort(spool->replayed->aborted, spool->replayed->aborted_count, sizeof(xid_t), compare_xids);
    return true;
}

/* ---- reading back ---- */

static bool spool_read_at(struct spool *spool, char *bytes, size_t size, struct error *err) {
    while (size > 0) {
        const ssize_t got = pread(spool->replayed->fd, bytes, size, (off_t) spool->offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? spool_errno(spool, err)
                           : error_set(err, ERROR_SYSTEM, "the spool in %s became shorter", spool->directory);
        bytes += got;
        size -= (size_t) got;
        spool->offset += (uint64_t) got;
    }
    return true;
}

static bool read_frame_of(struct spool *spool, struct error *err) {
    char head[FRAME_HEAD_BYTES];
    struct frame frame;
    struct error problem = {0};
    if (!spool_read_at(spool, head, sizeof head, err))
        return false;
    if (frame_read_head((struct slice){.data = head, .size = sizeof head}, &frame) != FRAME_GOOD)
        return error_set(err, ERROR_RETRY, "the spool in %s is damaged; its transactions are sent again",
                         spool->directory);
    buffer_reset(&spool->file);
    if (!buffer_reserve(&spool->file, frame.stored_bytes))
        return error_no_memory(err);
    if (!spool_read_at(spool, spool->file.data, frame.stored_bytes, err))
        return false;
    if (!frame_unpack(&frame, (struct slice){.data = spool->file.data, .size = frame.stored_bytes},
                      &spool->frame, &problem))
        return error_set(err, problem.kind == ERROR_PROTOCOL ? ERROR_RETRY : problem.kind,
                         "the spool in %s: %s", spool->directory, problem.text);
    spool->left = buffer_slice(&spool->frame);
    return true;
}

static bool is_aborted(const struct spool_transaction *transaction, xid_t xid) {
    return transaction->aborted_count > 0 &&
           bsearch(&xid, transaction->aborted, transaction->aborted_count, sizeof xid, compare_xids) != NULL;
}

static void take_spooled(struct spool *spool, struct spool_message *message) {
    struct spool_head head;
    memcpy(&head, spool->left.data, sizeof head);
    *message = (struct spool_message){.lsn = head.lsn,
                                      .xid = head.xid,
                                      .bytes = {.data = spool->left.data + sizeof head, .size = head.size}};
    const size_t size = sizeof head + head.size;
    spool->left = (struct slice){.data = spool->left.data + size, .size = spool->left.size - size};
}

bool spool_next(struct spool *spool, struct spool_message *ret_message, bool *ret_got, struct error *err) {
    *ret_got = false;
    while (spool->replayed != NULL && !*ret_got) {
        if (spool->left.size == 0 && spool->offset == spool->replayed->size) {
            drop_transaction(spool, spool->replayed);
            spool->replayed = NULL;
            return true;
        }
        if (spool->left.size == 0 && !read_frame_of(spool, err))
            return false;
        take_spooled(spool, ret_message);
        *ret_got = !is_aborted(spool->replayed, ret_message->xid);
    }
    return true;
}
