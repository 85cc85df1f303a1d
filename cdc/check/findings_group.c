/* SPDX-License-Identifier: Apache-2.0 */
/*
 * findings_group.c - merges findings that report the same about several tables.
 *
 * Two findings have one cause if they differ only in the object that they are about. The object is replaced
 * by a mark in both texts; findings whose texts are then equal become one finding with a list of objects.
 * Fixes that accept a list of tables become one statement; other fixes are listed one below the other.
 */
#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/check/findings.h"

#define TEXT_BYTES_MAX ((size_t) 64 << 20)
#define NAMED_MAX 5 /* objects named in the text; the fix has all of them */

static const char MARK[] = "\x01";

/* text with every occurrence of what replaced; "", with failed set, if memory is exhausted. */
static const char *replace(struct findings *findings, const char *text, const char *what, const char *with) {
    struct buffer copy AUTO(buffer_release) = {.bytes_max = TEXT_BYTES_MAX};
    for (const char *found = NULL; (found = strstr(text, what)) != NULL; text = found + strlen(what)) {
        buffer_printf(&copy, "%.*s", (int) (found - text), text);
        buffer_append_text(&copy, with);
    }
    buffer_append_text(&copy, text);
    const char *kept = buffer_ok(&copy) ? arena_copy(&findings->arena, buffer_slice(&copy)) : NULL;
    findings->failed = findings->failed || kept == NULL;
    return kept != NULL ? kept : "";
}

static bool is_alike(const struct finding *a, const struct finding *b) {
    return a->severity == b->severity && strcmp(a->code, b->code) == 0 && strcmp(a->where, b->where) == 0 &&
           strcmp(a->what, b->what) == 0;
}

static struct finding *find_head(struct findings *findings, const struct finding *finding) {
    for (struct finding *head = findings->first; head != NULL && head != finding; head = head->next)
        if (head->object != NULL && is_alike(head, finding))
            return head;
    return NULL;
}

/* Statements that accept a list of tables. */
static bool takes_list(const char *fix) {
    static const char *const SIGNS[][2] = {{"grant ", "table \x01 to "},
                                           {"alter publication ", "add table \x01;"},
                                           {"alter publication ", "drop table \x01;"}};
    for (size_t i = 0; i < sizeof SIGNS / sizeof SIGNS[0]; i++)
        if (strncmp(fix, SIGNS[i][0], strlen(SIGNS[i][0])) == 0 && strstr(fix, SIGNS[i][1]) != NULL)
            return true;
    return false;
}

static const char *list_objects(struct findings *findings, const struct finding *head, const char *fix,
                                size_t named_max) {
    struct buffer list AUTO(buffer_release) = {.bytes_max = TEXT_BYTES_MAX};
    size_t count = 0;
    for (const struct finding *one = head; one != NULL; one = one->alike) {
        if (fix != NULL && strcmp(one->fix, fix) != 0)
            continue;
        if (count < named_max)
            buffer_printf(&list, "%s%s", count > 0 ? ", " : "", one->object);
        count++;
    }
    if (count > named_max)
        buffer_printf(&list, " and %zu more", count - named_max);
    const char *kept = buffer_ok(&list) ? arena_copy(&findings->arena, buffer_slice(&list)) : NULL;
    findings->failed = findings->failed || kept == NULL;
    return kept != NULL ? kept : "";
}

/* Did an earlier finding of the group have the same fix? */
static bool is_said(const struct finding *head, const struct finding *finding) {
    for (const struct finding *one = head; one != finding; one = one->alike)
        if (strcmp(one->fix, finding->fix) == 0)
            return true;
    return false;
}

static const char *join_fixes(struct findings *findings, const struct finding *head) {
    struct buffer text AUTO(buffer_release) = {.bytes_max = TEXT_BYTES_MAX};
    for (const struct finding *one = head; one != NULL; one = one->alike) {
        bool lists = takes_list(one->fix);
        bool is_general = lists || strstr(one->fix, MARK) == NULL;
        if (one->fix[0] == '\0' || (is_general && is_said(head, one)))
            continue;
        const char *objects = lists ? list_objects(findings, head, one->fix, SIZE_MAX) : one->object;
        buffer_printf(&text, "%s%s", text.size > 0 ? "\n" : "", replace(findings, one->fix, MARK, objects));
    }
    const char *kept = buffer_ok(&text) ? arena_copy(&findings->arena, buffer_slice(&text)) : NULL;
    findings->failed = findings->failed || kept == NULL;
    return kept != NULL ? kept : "";
}

static void mark_object(struct findings *findings, struct finding *finding) {
    finding->what = replace(findings, finding->what, finding->object, MARK);
    finding->fix = replace(findings, finding->fix, finding->object, MARK);
}

/* Moves findings with the same cause from the list into the group of its first. */
static void findings_group_gather(struct findings *findings) {
    struct finding **link = &findings->first;
    findings->last = NULL;
    while (*link != NULL) {
        struct finding *finding = *link;
        struct finding *head = finding->object != NULL ? find_head(findings, finding) : NULL;
        if (head == NULL) {
            findings->last = finding;
            link = &finding->next;
            continue;
        }
        *link = finding->next;
        head->last_alike->alike = finding;
        head->last_alike = finding;
        head->object_count++;
        findings->counts[finding->severity]--;
    }
}

void findings_group(struct findings *findings) {
    for (struct finding *finding = findings->first; finding != NULL; finding = finding->next)
        if (finding->object != NULL)
            mark_object(findings, finding);
    findings_group_gather(findings);
    for (struct finding *head = findings->first; head != NULL; head = head->next) {
        if (head->object == NULL)
            continue;
        const char *fix = join_fixes(findings, head);
        head->what = replace(findings, head->what, MARK, list_objects(findings, head, NULL, NAMED_MAX));
        head->fix = fix;
    }
}
