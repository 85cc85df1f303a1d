/* SPDX-License-Identifier: Apache-2.0 */
/*
 * explain_stop.c - uses check to explain why run has stopped.
 *
 * The engine knows the change that cannot be applied; check reads both catalogs and so knows the statement
 * that repairs it. The finding that matches the error's kind and table becomes the error's remedy; check's
 * other problems are logged before it.
 */
#include "cdc/check/explain_stop.h"

#include <stdlib.h>
#include <string.h>

#include "cdc/base/log.h"
#include "cdc/check/check.h"

#define AGAIN "  -- then start again" /* after a statement, as SQL's comment */
#define ARENA_BYTES_MAX ((size_t) 512 << 20)

/* Which finding explains which SQLSTATE. */
static const struct relation_of_codes {
    const char *sqlstate; /* a prefix */
    const char *code;     /* a prefix of the finding's code */
} RELATIONS[] = {
    {"42703", "target_column"},      {"42P01", "target_table"},      {"42809", "target_table"},
    {"42804", "target_column_type"}, {"23502", "target_column"},     {"23505", "target_deferrable"},
    {"23503", "target_references"},  {"23P01", "target_deferrable"}, {"23514", "target_domain"},
    {"22P02", "target_enum"},        {"22", "target_column_type"},   {"42501", "target_rights"},
    {"42501", "table_select"},       {"42501", "schema_usage"},      {"53400", "max_replication_slots"},
};

static bool is_of_kind(const struct finding *finding, const struct error *err) {
    for (size_t i = 0; i < sizeof RELATIONS / sizeof RELATIONS[0]; i++)
        if (strncmp(err->sqlstate, RELATIONS[i].sqlstate, strlen(RELATIONS[i].sqlstate)) == 0 &&
            strncmp(finding->code, RELATIONS[i].code, strlen(RELATIONS[i].code)) == 0)
            return true;
    return false;
}

/*
 * Our own texts quote names: "public"."t". A finding about a type or a foreign key counts in any case,
 * because the server's message does not name it in this form.
 */
static bool is_named(const struct finding *finding, const struct error *err) {
    if (strncmp(finding->code, "target_enum", 11) == 0 || strncmp(finding->code, "target_domain", 13) == 0 ||
        strcmp(finding->code, "target_references") == 0 ||
        strcmp(finding->code, "max_replication_slots") == 0)
        return true;
    /* a right at the source: the server's message has the name without schema and quotes */
    if ((strcmp(finding->code, "table_select") == 0 || strcmp(finding->code, "schema_usage") == 0) &&
        strncmp(err->text, "source: ", 8) == 0)
        return true;
    for (const struct finding *one = finding; one != NULL; one = one->alike)
        if (one->object != NULL && strstr(err->text, one->object) != NULL)
            return true;
    return false;
}

/* The same error, as it was stored for status. */
static bool is_repeated(const struct finding *finding, const struct error *err) {
    return strcmp(finding->code, "last_error") == 0 ||
           (strstr(err->text, finding->what) != NULL && strcmp(finding->fix, err->remedy) == 0);
}

static bool explains(const struct finding *finding, const struct error *err) {
    if (finding->severity == SEVERITY_NOTE || finding->fix[0] == '\0')
        return false;
    return is_of_kind(finding, err) && is_named(finding, err);
}

/* The text without "source: " or "sink NAME: ", which a finding has in its place. */
static const char *skip_place(const char *text) {
    const char *end = strstr(text, ": ");
    const bool has_place = strncmp(text, "source: ", 8) == 0 || strncmp(text, "sink ", 5) == 0;
    return has_place && end != NULL ? end + 2 : text;
}

/* Is it about the same cause? */
static bool has_code_of(const struct finding *finding, const struct error *err) {
    return err->finding != NULL && strcmp(finding->code, err->finding) == 0;
}

/* Check found the same error: it has that code, or one text contains the other, apart from the place. */
static bool is_same(const struct finding *finding, const struct error *err) {
    if (has_code_of(finding, err))
        return true;
    const char *text = skip_place(err->text);
    return finding->severity != SEVERITY_NOTE && finding->fix[0] != '\0' &&
           (strstr(text, finding->what) != NULL || strstr(finding->what, text) != NULL);
}

static const struct finding *find_best(const struct findings *findings, const struct error *err,
                                       bool (*fits)(const struct finding *, const struct error *)) {
    for (const struct finding *finding = findings->first; finding != NULL; finding = finding->next)
        if (!is_repeated(finding, err) && fits(finding, err))
            return finding;
    return NULL;
}

/*
 * A remedy is one line. The lines of a fix can be joined unless one that is not the last has a comment, which
 * would swallow the rest, or there are too many of them.
 */
static bool is_joinable(const char *fix) {
    const char *comment = strstr(fix, "--");
    return strlen(fix) + sizeof AGAIN < ERROR_REMEDY_MAX &&
           (comment == NULL || strchr(comment, '\n') == NULL);
}

static bool ends_as_statement(const char *fix) {
    return fix[0] != '\0' && fix[strlen(fix) - 1] == ';';
}

/* starts_again: the remedy is of the error that stops the run. */
static void give_fix(struct error *err, const struct finding *finding, bool starts_again) {
    const char *again = !starts_again ? "" : ends_as_statement(finding->fix) ? AGAIN : "; then start again";
    if (is_joinable(finding->fix))
        error_remedy(err, "%s%s", finding->fix, again);
    else if (err->remedy[0] == '\0')
        error_remedy(err, "%s has a fix of many lines, which pgcdc check prints%s", finding->code, again);
}

static void explain_stop_say(const struct finding *finding) {
    struct error said = {0};
    error_set(&said, ERROR_DATA, "check: %s: %s", finding->where, finding->what);
    give_fix(&said, finding, false);
    log_about(LOG_STOP_EXPLAINED, &(struct log_subject){.error = &said}, "%s", said.text);
}

static void take_findings(const struct findings *findings, struct error *err) {
    const struct finding *best = find_best(findings, err, is_same);
    if (best == NULL)
        best = find_best(findings, err, explains);
    for (const struct finding *finding = findings->first; finding != NULL; finding = finding->next)
        if (finding != best && finding->severity == SEVERITY_PROBLEM && !is_repeated(finding, err) &&
            !has_code_of(finding, err))
            explain_stop_say(finding);
    if (best != NULL)
        give_fix(err, best, true);
}

void explain_stop(const struct config *config, const atomic_bool *stop, struct error *err) {
    if ((err->kind != ERROR_DATA && err->kind != ERROR_CONFIG) || config->source.dsn == NULL)
        return;
    struct check *check = calloc(1, sizeof *check);
    if (check == NULL)
        return;
    check->config = config;
    check->stop = stop;
    arena_init(&check->arena, 65536, ARENA_BYTES_MAX);
    findings_init(&check->findings);
    check_all(check);
    findings_group(&check->findings);
    if (!check->findings.failed)
        take_findings(&check->findings, err);
    check_release(check);
    free(check);
}
