/* SPDX-License-Identifier: Apache-2.0 */
/*
 * archive_export.c - one segment after the other.
 */
#include "cdc/archive/archive_export.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cdc/archive/archive_state.h"
#include "cdc/archive/archive_survey.h"
#include "cdc/base/file.h"

enum { PIECE_BYTES = 256 * 1024 };

/* ---- the target ---- */

static bool make_target(const struct archive_export *export, struct error *err) {
    struct segment_list list = {0};
    if (mkdir(export->to, 0750) != 0 && errno != EEXIST)
        return error_errno(err, "%s", export->to);
    const bool is_read = segment_list_read(export->to, &list, err);
    const bool is_empty = list.count == 0;
    segment_list_release(&list);
    if (!is_read || is_empty)
        return is_read;
    error_set(err, ERROR_CONFIG, "%s: it has segments already", export->to);
    return error_remedy(err, "name a directory that is new or empty");
}

/* ---- a segment ---- */

static bool copy_bytes_of(int from, int to, uint64_t size, const char *path, struct error *err) {
    char piece[PIECE_BYTES];
    while (size > 0) {
        const ssize_t got = read(from, piece, size < sizeof piece ? size : sizeof piece);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? error_errno(err, "%s", path)
                           : error_set(err, ERROR_SYSTEM, "%s: the file became shorter", path);
        if (!file_write(to, (struct slice){.data = piece, .size = (size_t) got}))
            return error_errno(err, "%s", path);
        size -= (uint64_t) got;
    }
    return fsync(to) == 0 || error_errno(err, "%s", path);
}

static bool write_copy(int from, const char *path, const char *name, uint64_t size, struct error *err) {
    const int to = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (to < 0)
        return error_errno(err, "%s", path);
    bool is_copied = copy_bytes_of(from, to, size, path, err);
    close(to);
    if (is_copied && rename(path, name) != 0)
        is_copied = error_errno(err, "%s", name);
    return is_copied;
}

/* What a writer adds at the same time is left behind. */
static bool copy_segment(const struct archive_export *export, const struct segment_name *name, uint64_t size,
                         struct error *err) {
    char temporary[PATH_MAX + sizeof ".new"];
    const struct segment_path from = segment_path_of(export->from, name);
    const struct segment_path to = segment_path_of(export->to, name);
    snprintf(temporary, sizeof temporary, "%s.new", to.text);
    const int fd = open(from.text, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_errno(err, "%s", from.text);
    const bool is_copied = write_copy(fd, temporary, to.text, size, err);
    close(fd);
    return is_copied;
}

static bool export_segment(struct archive_export *export, const struct segment_list *list, size_t index,
                           struct error *err) {
    struct segment_survey survey;
    if (!segment_survey(export->from, list, index, true, export->stop, &survey, err))
        return false;
    if (survey.damage.kind != ERROR_NONE) {
        *err = survey.damage;
        return false;
    }
    if (!copy_segment(export, &list->names[index], survey.end.whole_bytes, err))
        return false;
    if (export->segments++ == 0)
        export->first_lsn = survey.head.first_lsn;
    export->bytes += survey.end.whole_bytes;
    export->end_lsn = survey.end.end_lsn;
    return true;
}

/* While a copy goes on, a chunk at from_lsn may be in the segment that ends there. */
static bool find_first(const struct archive_export *export, const struct segment_list *list,
                       size_t *ret_first, struct error *err) {
    struct archive_state state;
    if (!archive_state_find(export->from, export->from_lsn, &state, err))
        return false;
    *ret_first = state.is_whole ? segment_list_find(list, export->from_lsn)
                                : segment_list_find_before(list, export->from_lsn);
    return true;
}

bool archive_export_run(struct archive_export *export, struct error *err) {
    struct segment_list list = {0};
    bool is_done = segment_list_read(export->from, &list, err);
    if (is_done && list.count == 0)
        is_done = error_set(err, ERROR_CONFIG, "archive %s: it has no segments", export->from);
    is_done = is_done && make_target(export, err);
    size_t last = is_done ? list.count - 1 : 0;
    if (is_done && export->until_lsn != 0)
        last = segment_list_find(&list, export->until_lsn - 1);
    size_t first = 0;
    is_done = is_done && find_first(export, &list, &first, err);
    for (size_t i = first; is_done && i <= last; i++)
        is_done = export_segment(export, &list, i, err);
    segment_list_release(&list);
    return is_done && directory_sync(export->to, err);
}
