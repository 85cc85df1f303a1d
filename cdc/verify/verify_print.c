/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify_print.c - prints counts and names; no value of a row, and keys only on request.
 */
#include "cdc/verify/verify_print.h"

#include <inttypes.h>
#include <string.h>

#include "cdc/base/amount.h"
#include "cdc/base/visible.h"
#include "cdc/verify/verify_keys.h"

#define NAME_WIDTH_MAX 60

const char *verify_result_name(enum verify_result result) {
    switch (result) {
    case VERIFY_EQUAL:
        return "equal";
    case VERIFY_NARROWED:
        return "narrowed";
    case VERIFY_PARTIAL:
        return "partial";
    case VERIFY_DIFFERENT:
        return "different";
    case VERIFY_MISSING:
        return "missing";
    case VERIFY_COPYING:
        return "copying";
    case VERIFY_MOVING:
    case VERIFY_UNDECIDED:
        return "moving";
    }
    return "unknown";
}

/* ---- for people ---- */

static int name_width(const struct verify *verify) {
    size_t width = strlen("TABLE");
    for (size_t i = 0; i < verify->count; i++) {
        const struct table *table = verify->tables[i].table;
        size_t length = strlen(table->schema) + 1 + strlen(table->name);
        if (length > width)
            width = length;
    }
    return width < NAME_WIDTH_MAX ? (int) width : NAME_WIDTH_MAX;
}

static void print_columns(const struct verify_table *compared, FILE *out) {
    const char *before = ", in column ";
    if (!compared->columns_are_known)
        return;
    for (size_t i = 0; i < compared->comparison->column_count; i++) {
        if (!compared->column_differs[i])
            continue;
        fputs(before, out);
        visible_print(out, slice_of(compared->comparison->column_names[i]));
        before = ", ";
    }
}

static void print_differences(const struct verify_table *compared, FILE *out) {
    const struct {
        uint64_t count;
        const char *word;
    } parts[] = {{compared->counts.missing, "missing"},     {compared->counts.extra, "extra"},
                 {compared->counts.different, "different"}, {compared->faults.duplicate, "duplicate"},
                 {compared->faults.foreign, "foreign"},     {compared->faults.uncounted, "uncounted"}};
    const char *comma = "";
    fputs(compared->is_inexact ? "at least " : "", out);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (parts[i].count == 0)
            continue;
        fprintf(out, "%s%" PRIu64 " %s", comma, parts[i].count, parts[i].word);
        comma = ", ";
    }
    print_columns(compared, out);
}

/* What a rule of the mapping does to the comparison. */
static void print_rule(const struct verify_table *compared, FILE *out) {
    const struct table *source = compared->table, *sink = compared->comparison->sink_table;
    if (sink != NULL &&
        (strcmp(source->name, sink->name) != 0 || strcmp(source->schema, sink->schema) != 0)) {
        fputs(" (as ", out);
        visible_print(out, slice_of(sink->schema));
        fputc('.', out);
        visible_print(out, slice_of(sink->name));
        fputc(')', out);
    }
    if (compared->comparison->about_changes == NULL)
        return;
    fputs(" (about changes, so not compared: ", out);
    visible_print(out, slice_of(compared->comparison->about_changes));
    fputc(')', out);
}

static void print_result(const struct verify_table *compared, FILE *out) {
    switch (compared->result) {
    case VERIFY_EQUAL:
        fputs("equal", out);
        if (compared->lsn != 0)
            fprintf(out, " at LSN %s", lsn_format(compared->lsn).text);
        break;
    case VERIFY_NARROWED:
        fputs("narrowed: no difference except those caused by the target's narrower types", out);
        break;
    case VERIFY_PARTIAL:
        fputs("partial: what was compared does not differ", out);
        break;
    case VERIFY_DIFFERENT:
        print_differences(compared, out);
        break;
    case VERIFY_MISSING:
        fputs("the target lacks ", out);
        visible_print(out, slice_of(compared->comparison->missing));
        break;
    case VERIFY_COPYING:
        fputs("not compared: its copy is not complete", out);
        break;
    case VERIFY_MOVING:
    case VERIFY_UNDECIDED:
        fputs("undecided, still changing: ", out);
        print_differences(compared, out);
    }
    if (compared->comparison->counts_narrowed)
        fprintf(out, "; %s narrowed", amount_count(compared->narrowed_rows, "row").text);
    print_rule(compared, out);
    if (compared->comparison->ignored != NULL) {
        fputs(" (left out by add_column: ignore: ", out);
        visible_print(out, slice_of(compared->comparison->ignored));
        fputc(')', out);
    }
    if (compared->comparison->left_out == NULL)
        return;
    fputs(" (", out);
    visible_print(out, slice_of(compared->comparison->left_out));
    fputc(')', out);
}

static void print_table(const struct verify_table *compared, int width, FILE *out) {
    const struct table *table = compared->table;
    int length = (int) (strlen(table->schema) + 1 + strlen(table->name));
    visible_print(out, slice_of(table->schema));
    fputc('.', out);
    visible_print(out, slice_of(table->name));
    fprintf(out, "%*s", length < width ? width - length : 0, "");
    if (compared->result == VERIFY_MISSING || compared->result == VERIFY_COPYING)
        fprintf(out, "  %14s  %14s  ", "-", "-");
    else
        fprintf(out, "  %14" PRIu64 "  %14" PRIu64 "  ", compared->source_rows, compared->target_rows);
    print_result(compared, out);
    fputc('\n', out);
    verify_keys_print(compared, out);
}

static size_t count_tables(const struct verify *verify, enum verify_result result) {
    size_t count = 0;
    for (size_t i = 0; i < verify->count; i++)
        count += verify->tables[i].result == result;
    return count;
}

static void print_equal(const struct verify *verify, FILE *out) {
    fprintf(out, "equal at LSN %s", lsn_format(verify->first_lsn).text);
    if (verify->barriers > 1)
        fprintf(out, " to %s, each table or part of one at an LSN of its own",
                lsn_format(verify->last_lsn).text);
    if (verify->rounds > 1)
        fprintf(out, "; rows that were changing then were equal by LSN %s",
                lsn_format(verify->last_lsn).text);
    fputs("\n", out);
}

static void print_different(const struct verify *verify, FILE *out) {
    size_t count = count_tables(verify, VERIFY_DIFFERENT) + count_tables(verify, VERIFY_MISSING);
    fprintf(out, "DIFFERENT at LSN %s: %zu of %s\n", lsn_format(verify->last_lsn).text, count,
            amount_count(verify->count, "table").text);
    if (!verify->sides.is_fed && verify->target_lsn < verify->last_lsn)
        fprintf(out,
                "No engine reads the slot, and the target %s%s: later changes of the source may be the "
                "difference.\n",
                verify->target_lsn != 0 ? "is at " : "has no position",
                verify->target_lsn != 0 ? lsn_format(verify->target_lsn).text : "");
}

static void print_moving(const struct verify *verify, FILE *out) {
    fprintf(
        out,
        verify->is_doubtful
            ? "UNDECIDED: rows of %zu of %s may differ, after %s; nothing else differs. The log says what "
              "prevented certainty; run verify again when that is over.\n"
            : "UNDECIDED: rows of %zu of %s changed in each of %s; nothing else differs. Run verify again "
              "when they change less.\n",
        count_tables(verify, VERIFY_MOVING), amount_count(verify->count, "table").text,
        amount_count(verify->rounds, "round").text);
}

void verify_print(const struct verify *verify, FILE *out) {
    int width = name_width(verify);
    fprintf(out, "sink %s%s\n%-*s  %14s  %14s  RESULT\n", verify->sink->name,
            verify->count > 0 && verify->tables[0].where_sql != NULL ? ", only rows of --where" : "", width,
            "TABLE", "SOURCE ROWS", "TARGET ROWS");
    for (size_t i = 0; i < verify->count; i++)
        print_table(&verify->tables[i], width, out);
    switch (verify->result) {
    case VERIFY_EQUAL:
        print_equal(verify, out);
        break;
    case VERIFY_NARROWED:
        fprintf(out,
                "NARROWED at LSN %s: columns of %zu of %s have types that can change values; nothing else "
                "differs\n",
                lsn_format(verify->first_lsn).text, count_tables(verify, VERIFY_NARROWED),
                amount_count(verify->count, "table").text);
        break;
    case VERIFY_PARTIAL:
        fprintf(out, "PARTIAL at LSN %s: %s of %zu of %s could not be compared; nothing else differs\n",
                lsn_format(verify->first_lsn).text, sink_has_rows(verify->sides.ops) ? "columns" : "parts",
                count_tables(verify, VERIFY_PARTIAL), amount_count(verify->count, "table").text);
        break;
    case VERIFY_COPYING:
        fprintf(
            out,
            "INCOMPLETE at LSN %s: the copy of %zu of %s is not complete and was not compared; nothing else "
            "differs\n",
            lsn_format(verify->last_lsn).text, count_tables(verify, VERIFY_COPYING),
            amount_count(verify->count, "table").text);
        break;
    case VERIFY_DIFFERENT:
    case VERIFY_MISSING:
        print_different(verify, out);
        break;
    case VERIFY_MOVING:
    case VERIFY_UNDECIDED:
        print_moving(verify, out);
    }
}

/* ---- for programs ---- */

static void put_boolean(struct json_writer *json, const char *key, bool value) {
    json_put_key(json, key);
    yajl_gen_bool(json->generator, value);
}

static void put_columns(const struct verify_table *compared, struct json_writer *json) {
    if (!compared->columns_are_known)
        return;
    json_put_key(json, "columns");
    yajl_gen_array_open(json->generator);
    for (size_t i = 0; i < compared->comparison->column_count; i++)
        if (compared->column_differs[i])
            json_put_text(json, slice_of(compared->comparison->column_names[i]));
    yajl_gen_array_close(json->generator);
}

static void put_hash(struct json_writer *json, const char *key, int64_t hash) {
    char text[17];
    snprintf(text, sizeof text, "%016" PRIx64, (uint64_t) hash);
    json_put_field(json, key, text);
}

/* Those of the rows that are counted beside them. */
static void put_hashes(const struct verify *verify, const struct verify_table *compared,
                       struct json_writer *json) {
    if (!sink_has_rows(verify->sides.ops))
        return;
    put_hash(json, "source_hash", compared->source_hash);
    put_hash(json, "target_hash", compared->target_hash);
}

static void put_table(const struct verify *verify, const struct verify_table *compared,
                      struct json_writer *json) {
    const struct difference_counts counts = compared->counts;
    yajl_gen_map_open(json->generator);
    json_put_field(json, "schema", compared->table->schema);
    json_put_field(json, "table", compared->table->name);
    if (compared->comparison->sink_table != NULL) {
        json_put_field(json, "to_schema", compared->comparison->sink_table->schema);
        json_put_field(json, "to_table", compared->comparison->sink_table->name);
    }
    if (compared->comparison->about_changes != NULL)
        json_put_field(json, "about_changes", compared->comparison->about_changes);
    if (compared->comparison->ignored != NULL)
        json_put_field(json, "ignored", compared->comparison->ignored);
    json_put_field(json, "result", verify_result_name(compared->result));
    if (compared->result == VERIFY_MISSING) {
        json_put_field(json, "lacks", compared->comparison->missing);
    } else if (compared->result != VERIFY_COPYING) {
        json_put_number(json, "source_rows", (int64_t) compared->source_rows);
        json_put_number(json, "target_rows", (int64_t) compared->target_rows);
        put_hashes(verify, compared, json);
        json_put_number(json, "missing", (int64_t) counts.missing);
        json_put_number(json, "extra", (int64_t) counts.extra);
        json_put_number(json, "different", (int64_t) counts.different);
        if (!sink_has_rows(verify->sides.ops)) {
            json_put_number(json, "duplicate", (int64_t) compared->faults.duplicate);
            json_put_number(json, "foreign", (int64_t) compared->faults.foreign);
            json_put_number(json, "uncounted", (int64_t) compared->faults.uncounted);
            json_put_number(json, "counted", (int64_t) compared->faults.counted);
        }
        put_boolean(json, "exact", !compared->is_inexact);
        put_columns(compared, json);
        if (compared->lsn != 0)
            json_put_field(json, "lsn", lsn_format(compared->lsn).text);
        if (compared->comparison->counts_narrowed)
            json_put_number(json, "narrowed", (int64_t) compared->narrowed_rows);
    }
    if (compared->comparison->left_out != NULL)
        json_put_field(json, "left_out", compared->comparison->left_out);
    if (compared->keys_are_read) {
        json_put_key(json, "keys");
        verify_keys_put(compared, json);
    }
    yajl_gen_map_close(json->generator);
}

void verify_put(const struct verify *verify, struct json_writer *json) {
    yajl_gen_map_open(json->generator);
    json_put_field(json, "sink", verify->sink->name);
    json_put_field(json, "result", verify_result_name(verify->result));
    json_put_field(json, "lsn", lsn_format(verify->first_lsn).text);
    json_put_field(json, "last_lsn", lsn_format(verify->last_lsn).text);
    json_put_field(json, "target_lsn", lsn_format(verify->target_lsn).text);
    put_boolean(json, "engine_running", verify->sides.is_fed);
    json_put_number(json, "rounds", (int64_t) verify->rounds);
    json_put_number(json, "barriers", (int64_t) verify->barriers);
    json_put_key(json, "tables");
    yajl_gen_array_open(json->generator);
    for (size_t i = 0; i < verify->count; i++)
        put_table(verify, &verify->tables[i], json);
    yajl_gen_array_close(json->generator);
    yajl_gen_map_close(json->generator);
}
