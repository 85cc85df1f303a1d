/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xid_snapshot.c - reads the text, and asks.
 */
#include "cdc/base/xid_snapshot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A number and the character after it. False when the text does not begin with a digit. */
static bool take_xid(const char **text, char end, uint64_t *ret_xid) {
    char *rest = NULL;
    if (**text < '0' || **text > '9')
        return false;
    errno = 0;
    *ret_xid = strtoull(*text, &rest, 10);
    if (errno != 0 || (*rest != end && *rest != '\0'))
        return false;
    *text = *rest == end ? rest + 1 : rest;
    return end != ':' || *rest == ':';
}

static size_t count_listed(const char *list) {
    size_t count = *list != '\0';
    for (; *list != '\0'; list++)
        count += *list == ',';
    return count;
}

static bool parse_open(const char *list, struct xid_snapshot *snapshot) {
    const size_t count = count_listed(list);
    if (count == 0)
        return true;
    snapshot->open = malloc(count * sizeof *snapshot->open);
    if (snapshot->open == NULL)
        return false;
    for (size_t i = 0; i < count; i++) {
        uint64_t *xid = &snapshot->open[i];
        if (!take_xid(&list, ',', xid) || *xid < snapshot->xmin || *xid >= snapshot->xmax ||
            (i > 0 && *xid <= xid[-1]))
            return false;
        snapshot->open_count++;
    }
    return *list == '\0';
}

bool xid_snapshot_parse(const char *text, struct xid_snapshot *ret_snapshot) {
    struct xid_snapshot snapshot = {0};
    *ret_snapshot = snapshot;
    if (!take_xid(&text, ':', &snapshot.xmin) || !take_xid(&text, ':', &snapshot.xmax) ||
        snapshot.xmin == 0 || snapshot.xmax == 0 || !parse_open(text, &snapshot)) {
        xid_snapshot_release(&snapshot);
        return false;
    }
    /* The snapshot of a slot can have the larger xmin; all below it have ended. */
    if (snapshot.xmin > snapshot.xmax)
        snapshot.xmax = snapshot.xmin;
    *ret_snapshot = snapshot;
    return true;
}

bool xid_snapshot_copy(const struct xid_snapshot *snapshot, struct xid_snapshot *ret_copy) {
    *ret_copy = *snapshot;
    if (snapshot->open_count == 0)
        return true;
    ret_copy->open = malloc(snapshot->open_count * sizeof *snapshot->open);
    if (ret_copy->open == NULL) {
        *ret_copy = (struct xid_snapshot){0};
        return false;
    }
    memcpy(ret_copy->open, snapshot->open, snapshot->open_count * sizeof *snapshot->open);
    return true;
}

void xid_snapshot_release(struct xid_snapshot *snapshot) {
    free(snapshot->open);
    *snapshot = (struct xid_snapshot){0};
}

static int compare_xids(const void *a, const void *b) {
    const uint64_t *left = a;
    const uint64_t *right = b;
    return (*left > *right) - (*left < *right);
}

static bool is_open(const struct xid_snapshot *snapshot, uint64_t xid) {
    return snapshot->open_count > 0 &&
           bsearch(&xid, snapshot->open, snapshot->open_count, sizeof xid, compare_xids) != NULL;
}

bool xid_snapshot_sees(const struct xid_snapshot *snapshot, uint64_t xid) {
    if (xid < snapshot->xmin)
        return true;
    return xid < snapshot->xmax && !is_open(snapshot, xid);
}

bool xid_snapshot_covers(const struct xid_snapshot *snapshot, const struct xid_snapshot *earlier) {
    if (snapshot->xmax < earlier->xmax)
        return false;
    for (size_t i = 0; i < snapshot->open_count; i++)
        if (xid_snapshot_sees(earlier, snapshot->open[i]))
            return false;
    return true;
}

uint64_t xid_widen(xid_t xid, uint64_t near) {
    const int32_t distance = (int32_t) (xid - (xid_t) near);
    return near + (uint64_t) (int64_t) distance;
}
