/* SPDX-License-Identifier: Apache-2.0 */
/*
 * findings_group.c - merges findings that report the same about several tables.
 *
 * Two findings have one cause if they differ only in the object that they are about. The object is replaced
 * by a mark in both texts; findings whose texts are then equal become one finding with a list of objects.
 * Fixes that accept a list of tables become one statement; other fixes are listed one below the other.
 */
#include <ctype.h>
#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/check/findings.h"

#define TEXT_BYTES_MAX ((size_t) 64 << 20)
#define NAMED_MAX 5 /* objects named in the text; the fix has all of them */

static const char MARK[] = "\x01";

/* Can the character be in a name without quotes, as that of a topic? */
static bool is_in_name(char c) {
    return isalnum((unsigned char) c) || c == '_' || c == '-' || c == '.';
}

/* Is what at this place of text, and not a part of a longer name? A quote ends a name anyway. */
static bool is_whole(const char *text, const char *place, const char *what) {
    const char *end = place + strlen(what);
    return !(place > text && is_in_name(place[0]) && is_in_name(place[-1])) &&
           !(is_in_name(end[-1]) && is_in_name(end[0]));
}

/* text with every occurrence of what replaced; "", with failed set, if memory is exhausted. */
static const char *replace(struct findings *findings, const char *text, const char *what, const char *with) {
    struct buffer copy AUTO(buffer_release) = {.bytes_max = TEXT_BYTES_MAX};
    const char *rest = text;
    for (const char *found = text; (found = strstr(found, what)) != NULL; found += strlen(what)) {
        if (!is_whole(text, found, what))
            continue;
        buffer_printf(&copy, "%.*s%s", (int) (found - rest), rest, with);
        rest = found + strlen(what);
    }
    buffer_append_text(&copy, rest);
    const char *kept = buffer_ok(&copy) ? arena_copy(&findings->arena, buffer_slice(&copy)) : NULL;
    findings->failed = findings->failed || kept == NULL;
    return kept != NULL ? kept : "";
}

static bool is_alike(const struct finding *a, const struct finding *b) {
    return a->severity == b->severity && a->is_accepted == b->is_accepted && strcmp(a->code, b->code) == 0 &&
           strcmp(a->where, b->where) == 0 && strcmp(a->what, b->what) == 0;
}

static struct finding *find_head(struct findings *findings, const struct finding *finding) {
    for (struct finding *head = findings->first; head != NULL && head != finding; head = head->next)
        if (head->object != NULL && is_alike(head, finding))
            return head;
    return NULL;
}

/* What is between the objects in a command that accepts a list of them; NULL: it accepts one. */
static const char *find_separator(const char *fix) {
    static const char *const SIGNS[][3] = {{"grant ", "table \x01 to ", ", "},
                                           {"alter publication ", "add table \x01;", ", "},
                                           {"alter publication ", "drop table \x01;", ", "},
                                           {"kafka-acls ", " --topic \x01", " --topic "}};
    for (size_t i = 0; i < sizeof SIGNS / sizeof SIGNS[0]; i++)
        if (strncmp(fix, SIGNS[i][0], strlen(SIGNS[i][0])) == 0 && strstr(fix, SIGNS[i][1]) != NULL)
            return SIGNS[i][2];
    return NULL;
}

/* separator NULL: for people, who do not want to read all of them. fix: only of findings that have it. */
static const char *list_objects(struct findings *findings, const struct finding *head, const char *fix,
                                const char *separator) {
    const size_t named_max = separator != NULL ? SIZE_MAX : NAMED_MAX;
    struct buffer list AUTO(buffer_release) = {.bytes_max = TEXT_BYTES_MAX};
    size_t count = 0;
    for (const struct finding *one = head; one != NULL; one = one->alike) {
        if (fix != NULL && strcmp(one->fix, fix) != 0)
            continue;
        if (count < named_max)
            buffer_printf(&list, "%s%s", count == 0 ? "" : separator != NULL ? separator : ", ", one->object);
        count++;
    }
    if (count > named_max)
        buffer_printf(&list, " and %zu more", count - named_max);
    const char *kept = buffer_ok(&list) ? arena_copy(&findings->arena, buffer_slice(&list)) : NULL;
    findings->failed = findings->failed || kept == NULL;
    return kept != NULL ? kept : "";
}

/*
 * A text about several objects. Where they are the subject, the verb and what refers to them follow; a later
 * line must not undo an earlier one.
 */
static const char *make_plural(struct findings *findings, const char *text) {
    static const char *const FORMS[][2] = {
        {"table \x01 has ", "tables \x01 have "},
        {"table \x01 already has ", "tables \x01 already have "},
        {"table \x01 is ", "tables \x01 are "},
        {"topic \x01 has ", "topics \x01 have "},
        {"topic \x01 accepts ", "topics \x01 accept "},
        {"topic \x01 confirms ", "topics \x01 confirm "},
        {"type \x01 lacks ", "types \x01 lack "},
        {"domain \x01 is ", "domains \x01 are "},
        {"its partition \x01 logs only its key ", "its partitions \x01 log only their key "},
        {"its partition \x01 has:", "its partitions \x01 have one:"},
        {"constraint \x01 is ", "constraints \x01 are "},
        {"event trigger \x01 acts ", "event triggers \x01 act "},
        {"extension \x01 is ", "extensions \x01 are "},
        {"index \x01 is ", "indexes \x01 are "},
        {"role \x01 owns objects at the source, or has ", "roles \x01 own objects at the source, or have "},
        {"sequence \x01 has ", "sequences \x01 have "},
        {"\x01 exists but is not a table", "\x01 exist but are not tables"},
        {"table \x01", "tables \x01"},
        {"topic \x01", "topics \x01"},
        {"partition \x01", "partitions \x01"},
        {"type \x01", "types \x01"},
        {": its changes are ", ": their changes are "},
        {" refuses its updates ", " refuses their updates "},
        {": its deletes", ": their deletes"},
        {"its changes wait until it is ", "their changes wait until they are "},
        {" does not send it", " does not send them"},
        {" may not create it", " may not create them"},
        {" older than its publication", " older than their publication"},
        {"grant DESCRIBE, READ, WRITE and CREATE on it", "grant DESCRIBE, READ, WRITE and CREATE on them"},
    };
    for (size_t i = 0; i < sizeof FORMS / sizeof FORMS[0]; i++)
        if (strstr(text, FORMS[i][0]) != NULL)
            text = replace(findings, text, FORMS[i][0], FORMS[i][1]);
    return text;
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
        const char *separator = find_separator(one->fix);
        bool is_general = separator != NULL || strstr(one->fix, MARK) == NULL;
        if (one->fix[0] == '\0' || (is_general && is_said(head, one)))
            continue;
        const char *objects =
            separator != NULL ? list_objects(findings, head, one->fix, separator) : one->object;
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
        if (finding->is_accepted)
            findings->accepted_count--;
        else
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
        const char *what = head->object_count > 1 ? make_plural(findings, head->what) : head->what;
        head->what = replace(findings, what, MARK, list_objects(findings, head, NULL, NULL));
        head->fix = fix;
    }
}
