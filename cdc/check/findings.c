/* SPDX-License-Identifier: Apache-2.0 */
/*
 * findings.c - collects findings in an arena and prints them, for people and as JSON.
 */
#include "cdc/check/findings.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/json_writer.h"
#include "cdc/base/visible.h"

#define ARENA_BYTES_MAX ((size_t) 256 << 20)

static const char *const SEVERITY_NAMES[SEVERITY_COUNT] = {"problem", "warning", "note"};

void findings_init(struct findings *findings) {
    *findings = (struct findings){.where = ""};
    arena_init(&findings->arena, 65536, ARENA_BYTES_MAX);
}

void findings_release(struct findings *findings) {
    arena_release(&findings->arena);
    *findings = (struct findings){0};
}

static const char *findings_keep(struct findings *findings, const char *format, va_list arguments) {
    char *text = NULL;
    int length = vasprintf(&text, format, arguments);
    const char *copy =
        length < 0 ? NULL
                   : arena_copy(&findings->arena, (struct slice){.data = text, .size = (size_t) length});
    if (length >= 0)
        free(text);
    findings->failed = findings->failed || copy == NULL;
    return copy != NULL ? copy : "";
}

static void findings_append(struct findings *findings, struct finding *finding) {
    if (findings->last != NULL)
        findings->last->next = finding;
    else
        findings->first = finding;
    findings->last = finding;
}

void findings_add_values(struct findings *findings, enum severity severity, const char *code,
                         const char *format, va_list values) {
    struct finding *finding = arena_alloc(&findings->arena, sizeof *finding);
    findings->counts[severity]++;
    if (finding == NULL) {
        findings->failed = true;
        return;
    }
    *finding = (struct finding){.severity = severity, .code = code, .where = findings->where, .fix = ""};
    finding->what = findings_keep(findings, format, values);
    findings_append(findings, finding);
}

void findings_add(struct findings *findings, enum severity severity, const char *code, const char *format,
                  ...) {
    va_list values;
    va_start(values, format);
    findings_add_values(findings, severity, code, format, values);
    va_end(values);
}

void findings_object(struct findings *findings, const char *object) {
    if (findings->failed)
        return;
    assert(findings->last != NULL);
    const char *kept = arena_copy(&findings->arena, slice_of(object));
    findings->failed = kept == NULL;
    findings->last->object = kept != NULL ? kept : "";
    findings->last->object_count = 1;
    findings->last->last_alike = findings->last;
}

void findings_fix_values(struct findings *findings, const char *format, va_list values) {
    if (findings->failed)
        return;
    assert(findings->last != NULL);
    findings->last->fix = findings_keep(findings, format, values);
}

void findings_fix(struct findings *findings, const char *format, ...) {
    va_list values;
    va_start(values, format);
    findings_fix_values(findings, format, values);
    va_end(values);
}

static void findings_uncount(struct findings *findings, const struct finding *finding) {
    if (finding->is_accepted)
        findings->accepted_count--;
    else
        findings->counts[finding->severity]--;
}

void findings_drop(struct findings *findings, const char *where) {
    struct finding *next = findings->first;
    findings->first = findings->last = NULL;
    while (next != NULL) {
        struct finding *finding = next;
        next = finding->next;
        finding->next = NULL;
        if (strncmp(finding->where, where, strlen(where)) == 0)
            findings_uncount(findings, finding);
        else
            findings_append(findings, finding);
    }
}

void findings_add_error(struct findings *findings, enum severity severity, const char *code,
                        const struct error *error) {
    findings_add(findings, severity, code, "%s", error->text);
    if (error->remedy[0] != '\0')
        findings_fix(findings, "%s", error->remedy);
}

static const char *verdict_of(const struct finding *finding) {
    return finding->is_accepted ? "accepted" : SEVERITY_NAMES[finding->severity];
}

/* Prints one line, whatever characters the names in it contain. */
static void print_what(const struct finding *finding, const char *comma, FILE *file) {
    if (comma == NULL)
        fprintf(file, "%-8s ", verdict_of(finding));
    else
        fprintf(file, "%s%s", verdict_of(finding), comma);
    fprintf(file, "%s: ", finding->where);
    visible_print(file, slice_of(finding->what));
    fputc('\n', file);
}

/* Each line of a fix is indented below its finding. */
static void print_fix(const char *fix, FILE *file) {
    while (*fix != '\0') {
        size_t length = strcspn(fix, "\n");
        fputs("         ", file);
        visible_print(file, (struct slice){.data = fix, .size = length});
        fputc('\n', file);
        fix += length + (fix[length] == '\n');
    }
}

/* ---- the fixes alone ---- */

/*
 * TRUNCATE is SQL too, but must never be piped into psql unread. A step in prose does not end in a semicolon,
 * so it is never treated as SQL.
 */
static bool begins_statement(const char *line) {
    static const char *const VERBS[] = {"alter ", "analyze ", "commit ", "create ", "drop ",
                                        "grant ", "reindex ", "select ", "vacuum "};
    for (size_t i = 0; i < sizeof VERBS / sizeof VERBS[0]; i++)
        if (strncmp(line, VERBS[i], strlen(VERBS[i])) == 0)
            return true;
    return false;
}

static bool is_statement(const char *line, size_t length) {
    const char *comment = memmem(line, length, ";  -- ", 6);
    if (comment == NULL && (length == 0 || line[length - 1] != ';'))
        return false;
    return begins_statement(line);
}

/* A line feed in a quoted name continues on the next line, which may look like a statement but is none. */
static bool ends_inside_name(const char *line, size_t length) {
    const char *comment = memmem(line, length, ";  -- ", 6);
    const size_t end = comment != NULL ? (size_t) (comment - line) : length;
    char open = '\0'; /* the open quote; the other quote is an ordinary character inside it */
    for (size_t i = 0; i < end; i++)
        if (line[i] == open)
            open = '\0';
        else if (open == '\0' && (line[i] == '"' || line[i] == '\''))
            open = line[i];
    return begins_statement(line) && open != '\0';
}

static void print_statements(const char *fix, FILE *file) {
    bool is_ours = true;
    while (*fix != '\0') {
        size_t length = strcspn(fix, "\n");
        is_ours = is_ours && !ends_inside_name(fix, length);
        fputs(is_ours && is_statement(fix, length) ? "" : "-- ", file);
        visible_print(file, (struct slice){.data = fix, .size = length});
        fputc('\n', file);
        fix += length + (fix[length] == '\n');
    }
}

/* "sink " matches every sink, "sink a" only that one. */
static bool is_at(const struct finding *finding, const char *where) {
    const size_t length = strlen(where);
    return where[length - 1] == ' ' ? strncmp(finding->where, where, length) == 0
                                    : strcmp(finding->where, where) == 0;
}

void findings_print_sql(const struct findings *findings, const char *where, FILE *file) {
    for (const struct finding *finding = findings->first; finding != NULL; finding = finding->next) {
        if (!is_at(finding, where) || finding->fix[0] == '\0')
            continue;
        fputs("-- ", file);
        print_what(finding, ", ", file);
        print_statements(finding->fix, file);
    }
}

static void print_summary(const struct findings *findings, const char *pipeline, FILE *file) {
    size_t problems = findings->counts[SEVERITY_PROBLEM], warnings = findings->counts[SEVERITY_WARNING];
    if (problems + warnings == 0)
        fprintf(file, "%s: ready", pipeline);
    else
        fprintf(file, "%s: %s, %zu problem%s, %zu warning%s", pipeline, problems == 0 ? "ready" : "not ready",
                problems, problems == 1 ? "" : "s", warnings, warnings == 1 ? "" : "s");
    if (findings->accepted_count > 0)
        fprintf(file, ", %zu accepted", findings->accepted_count);
    fputc('\n', file);
}

void findings_print(const struct findings *findings, const char *pipeline, FILE *file) {
    for (int severity = 0; severity < SEVERITY_COUNT; severity++)
        for (const struct finding *finding = findings->first; finding != NULL; finding = finding->next) {
            if (finding->severity != (enum severity) severity)
                continue;
            print_what(finding, NULL, file);
            print_fix(finding->fix, file);
        }
    print_summary(findings, pipeline, file);
}

static void put_finding(struct json_writer *json, const struct finding *finding, bool has_entries) {
    yajl_gen_map_open(json->generator);
    json_put_field(json, "severity", SEVERITY_NAMES[finding->severity]);
    if (has_entries) {
        json_put_key(json, "accepted");
        yajl_gen_bool(json->generator, finding->is_accepted);
    }
    json_put_field(json, "code", finding->code);
    json_put_field(json, "where", finding->where);
    json_put_field(json, "what", finding->what);
    json_put_field(json, "fix", finding->fix);
    json_put_key(json, "objects");
    yajl_gen_array_open(json->generator);
    for (const struct finding *one = finding; one != NULL; one = one->alike)
        if (one->object != NULL)
            json_put_text(json, slice_of(one->object));
    yajl_gen_array_close(json->generator);
    yajl_gen_map_close(json->generator);
}

static void put_count(struct json_writer *json, const char *key, size_t count) {
    json_put_key(json, key);
    json_put_integer(json, (int64_t) count);
}

void findings_put_json(struct json_writer *json, const struct findings *findings, const char *pipeline) {
    json_put_field(json, "pipeline", pipeline);
    json_put_key(json, "ready");
    yajl_gen_bool(json->generator, findings->counts[SEVERITY_PROBLEM] == 0);
    put_count(json, "problems", findings->counts[SEVERITY_PROBLEM]);
    put_count(json, "warnings", findings->counts[SEVERITY_WARNING]);
    if (findings->has_entries)
        put_count(json, "accepted", findings->accepted_count);
    json_put_key(json, "findings");
    yajl_gen_array_open(json->generator);
    for (const struct finding *finding = findings->first; finding != NULL; finding = finding->next)
        put_finding(json, finding, findings->has_entries);
    yajl_gen_array_close(json->generator);
}

bool findings_print_json(const struct findings *findings, const char *pipeline, FILE *file,
                         struct error *err) {
    struct json_writer json AUTO(json_writer_release) = {0};
    if (!json_writer_init(&json, err))
        return false;
    json_writer_begin(&json);
    yajl_gen_map_open(json.generator);
    findings_put_json(&json, findings, pipeline);
    yajl_gen_map_close(json.generator);
    return json_writer_print(&json, file, err);
}
