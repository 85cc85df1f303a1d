/* SPDX-License-Identifier: Apache-2.0 */
/*
 * findings_accept.c - warnings that the operator has accepted.
 */
#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/check/findings.h"

#define PLAIN_BYTES_MAX 1024

/* "public.log" of "public"."log". False: without its quotes it could be taken for another name. */
static bool make_plain(const char *object, struct buffer *plain) {
    for (const char *at = object;; at++) {
        const size_t length = *at == '"' ? strcspn(at + 1, "\".*\n") : 0;
        if (length == 0 || at[length + 1] != '"')
            return false;
        if (plain->size > 0)
            buffer_append_text(plain, ".");
        buffer_append(plain, at + 1, length);
        at += length + 2;
        if (*at == '\0')
            return buffer_text(plain) != NULL;
        if (*at != '.')
            return false;
    }
}

static bool is_named(const char *object, const char *name) {
    struct buffer plain AUTO(buffer_release) = {.bytes_max = PLAIN_BYTES_MAX};
    return strcmp(name, "*") == 0 || strcmp(name, object) == 0 ||
           (make_plain(object, &plain) && strcmp(name, plain.data) == 0);
}

static bool is_meant(const struct finding *finding, const char *entry) {
    const size_t length = strcspn(entry, ":");
    if (finding->severity != SEVERITY_WARNING || strlen(finding->code) != length ||
        strncmp(finding->code, entry, length) != 0)
        return false;
    return entry[length] == '\0' ? finding->object == NULL
                                 : finding->object != NULL && is_named(finding->object, entry + length + 1);
}

size_t findings_accept(struct findings *findings, const char *entry) {
    size_t count = 0;
    for (struct finding *finding = findings->first; finding != NULL; finding = finding->next) {
        if (!is_meant(finding, entry))
            continue;
        count++;
        findings->counts[SEVERITY_WARNING] -= !finding->is_accepted;
        findings->accepted_count += !finding->is_accepted;
        finding->is_accepted = true;
    }
    return count;
}
