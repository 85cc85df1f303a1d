/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command_table.c - pgcdc table list, add, remove and copy, on a running pipeline and on a stopped one.
 *
 * The plan in each sink comes first: the engine reads it now, when it runs, or at its next start. A table is
 * published after that, in one transaction of the source, so no change of it finds a sink without the plan.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cdc/base/amount.h"
#include "cdc/base/buffer.h"
#include "cdc/base/log.h"
#include "cdc/base/visible.h"
#include "cdc/command.h"
#include "cdc/copy/chunk_add.h"
#include "cdc/copy/chunk_tally.h"
#include "cdc/engine/checkpoint.h"
#include "cdc/engine/control.h"
#include "cdc/engine/edit_store.h"
#include "cdc/pq/identifier.h"
#include "cdc/source/identity.h"
#include "cdc/source/membership.h"
#include "cdc/source/source.h"

enum { BLOCK_BYTES = 64 * 1024, SQL_BYTES_MAX = 1024 * 1024, RELOAD_MS = 60000 };
#define ARENA_BYTES_MAX ((size_t) 512 << 20)

struct table_command {
    const struct command_line *line;
    const struct config *config;
    struct session source;
    struct edit_store edit_store;
    struct arena arena;
    struct membership *members; /* of the arguments */
    size_t count;
    bool removes; /* tables whose copy is planned need not exist */
};

/* ---- the engine ---- */

static bool tell_part(const struct table_command *command, const struct config *part, bool *ret_runs,
                      struct error *err) {
    char answer[CONTROL_LINE_MAX];
    int client = -1;
    if (!control_connect(part->state, part->name, &client, err))
        return false;
    *ret_runs = client >= 0;
    if (client < 0)
        return true;
    const bool told = control_ask(client, "reload", RELOAD_MS, command->line->stop, answer, err);
    close(client);
    return told;
}

/* The engine reads the plan again; without one, its next start does. */
static bool tell_engine(const struct table_command *command, bool *ret_runs, struct error *err) {
    const struct config *config = command->config;
    if (config->part_count == 0)
        return tell_part(command, config, ret_runs, err);
    *ret_runs = true;
    for (size_t i = 1; i < config->part_count; i++) {
        bool runs = false;
        if (!tell_part(command, &config->parts[i], &runs, err))
            return false;
        *ret_runs = *ret_runs && runs;
    }
    return true;
}

/* ---- tables ---- */

/* Is it the name of this chunk's table, with or without quotes? */
static bool is_table_of(const struct chunk *chunk, const char *name) {
    char plain[160];
    struct buffer quoted AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    snprintf(plain, sizeof plain, "%s.%s", chunk->schema, chunk->table);
    identifier_append_qualified(&quoted, slice_of(chunk->schema), slice_of(chunk->table));
    const char *text = buffer_text(&quoted);
    return strcmp(name, plain) == 0 || (text != NULL && strcmp(name, text) == 0);
}

/*
 * A table that the source has no more, but whose copy is planned: it was dropped before it was published.
 * False leaves *err, the reason why the source does not know it.
 */
static bool find_planned(struct table_command *command, const char *name, struct membership *ret_member,
                         const struct error *err) {
    struct chunk_plan plans[CHECKPOINT_SINKS_MAX];
    struct error ignored = {0};
    if (err->kind != ERROR_CONFIG ||
        !chunk_add_look(command->config, command->line->stop, &command->arena, plans, &ignored))
        return false;
    for (size_t i = 0; i < command->config->sink_count; i++)
        for (size_t k = 0; k < plans[i].count; k++) {
            const struct chunk *chunk = &plans[i].chunks[k];
            if (!is_table_of(chunk, name))
                continue;
            *ret_member = (struct membership){
                .oid = chunk->relation_oid, .schema = chunk->schema, .name = chunk->table};
            return true;
        }
    return false;
}

static bool read_member(struct table_command *command, const char *name, struct membership *ret_member,
                        struct error *err) {
    return membership_read(&command->source, &command->config->source, name, &command->arena, ret_member,
                           err) ||
           (command->removes && find_planned(command, name, ret_member, err));
}

static bool read_members(struct table_command *command, struct error *err) {
    const struct command_line *line = command->line;
    command->members =
        arena_alloc_zero(&command->arena, (line->argument_count + 1) * sizeof *command->members);
    if (command->members == NULL)
        return error_no_memory(err);
    for (; command->count < line->argument_count; command->count++)
        if (!read_member(command, line->arguments[command->count], &command->members[command->count], err))
            return false;
    return true;
}

static bool is_wanted(const struct table_command *command, oid_t oid) {
    for (size_t i = 0; i < command->count; i++)
        if (command->members[i].oid == oid)
            return true;
    return false;
}

/* The definitions of the arguments, as the publication sends them. */
static bool read_tables(struct table_command *command, struct table_list *ret_list, struct error *err) {
    struct table_list all = {0};
    size_t count = 0;
    if (!catalog_read_tables(&command->source, command->config->source.publication_array, &command->arena,
                             &all, err))
        return false;
    struct table *tables = arena_alloc(&command->arena, (all.count + 1) * sizeof *tables);
    if (tables == NULL)
        return error_no_memory(err);
    for (size_t i = 0; i < all.count; i++)
        if (is_wanted(command, all.tables[i].oid))
            tables[count++] = all.tables[i];
    *ret_list = (struct table_list){.tables = tables, .count = count};
    return true;
}

static bool read_by_oid(struct table_command *command, struct table_list *ret_list, struct error *err) {
    struct buffer oids AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    for (size_t i = 0; i < command->count; i++)
        buffer_printf(&oids, i > 0 ? ",%u" : "{%u", command->members[i].oid);
    buffer_append_text(&oids, "}");
    if (buffer_text(&oids) == NULL)
        return error_no_memory(err);
    return catalog_read_oids(&command->source, oids.data, &command->arena, ret_list, err);
}

/* For a terminal. */
struct shown_name {
    char text[512];
};

static struct shown_name name_of(const struct membership *member) {
    struct shown_name shown;
    char name[160];
    snprintf(name, sizeof name, "%s.%s", member->schema, member->name);
    visible_write(shown.text, sizeof shown.text, slice_of(name));
    return shown;
}

static void print_next(bool runs) {
    if (runs)
        printf("the running engine copies them now; `pgcdc table list` shows how far it is\n");
    else
        printf("no engine runs here: its next start copies them\n");
}

static struct chunk_add add_of(struct table_command *command) {
    command->edit_store = (struct edit_store){
        .config = command->config, .stop = command->line->stop, .source = &command->source};
    return (struct chunk_add){.config = command->config,
                              .stop = command->line->stop,
                              .source = &command->source,
                              .deliver = edit_store_deliver,
                              .context = &command->edit_store};
}

/* ---- copy ---- */

static void print_planned(const struct chunk_add *add, const char *nothing) {
    if (add->chunk_count == 0)
        printf("%s\n", nothing);
    else
        printf("%s will be copied\n", amount_count(add->chunk_count, "chunk").text);
    if (add->appends && add->chunk_count > 0)
        printf(
            "a sink that appends gets their rows as read records, after what it has; a row that the source "
            "has no more stays there\n");
}

/* What is copied already may have been read before the rows changed that the command is about. */
static void print_left_out(const struct config_sink *sink, const struct table *table) {
    const struct membership member = {.schema = table->schema, .name = table->name};
    printf("table %s is being copied into sink %s already, and is not copied again: when `pgcdc table list` "
           "says that it streams, this command copies it again\n",
           name_of(&member).text, sink->sink.name);
}

static bool copy_tables(struct table_command *command, struct error *err) {
    struct chunk_add add = add_of(command);
    bool runs = false;
    add.replaces = true;
    add.left_out = print_left_out;
    add.where_sql = command->line->where_sql;
    for (size_t i = 0; i < command->count; i++)
        if (!command->members[i].is_published) {
            error_set(err, ERROR_CONFIG, "table %s is not published", name_of(&command->members[i]).text);
            return error_remedy(err, "`pgcdc table add` publishes and copies it");
        }
    if (!session_execute(&command->source, "begin isolation level repeatable read read only", err) ||
        !read_tables(command, &add.tables, err) || !chunk_add_store(&add, err) ||
        !session_execute(&command->source, "rollback", err) || !tell_engine(command, &runs, err))
        return false;
    print_planned(&add, "nothing to copy that is not planned already");
    print_next(runs);
    return true;
}

/* ---- add ---- */

static bool check_added(struct table_command *command, const struct membership *member, struct error *err) {
    const struct source_config *source = &command->config->source;
    if (!config_takes_table(source, member->schema, member->name)) {
        error_set(err, ERROR_CONFIG, "source.tables does not list table %s", name_of(member).text);
        return error_remedy(err, "add it there first, and restart the engine");
    }
    return true;
}

/* Once such a table is published, the source refuses the application's own updates of it. */
static bool check_identity(struct table_command *command, const struct table_list *tables,
                           struct error *err) {
    struct buffer oids AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    PGresult *rows AUTO_PGRESULT = NULL;
    for (size_t i = 0; i < tables->count; i++)
        buffer_printf(&oids, i > 0 ? ",%u" : "{%u", tables->tables[i].oid);
    buffer_append_text(&oids, tables->count > 0 ? "}" : "{}");
    if (buffer_text(&oids) == NULL)
        return error_no_memory(err);
    if (!identity_find_unusable(&command->source, oids.data, "{}", &rows, err))
        return false;
    if (PQntuples(rows) == 0)
        return true;
    error_set(
        err, ERROR_CONFIG,
        "table %s.%s has no usable replica identity, so the source would refuse its updates and deletes",
        PQgetvalue(rows, 0, IDENTITY_SCHEMA), PQgetvalue(rows, 0, IDENTITY_NAME));
    return error_remedy(err, "give it a primary key or another replica identity first");
}

static bool publish(struct table_command *command, struct error *err) {
    for (size_t i = 0; i < command->count; i++) {
        const struct membership *member = &command->members[i];
        if (!member->is_published && member->is_ours &&
            !membership_change(&command->source, &command->config->source, member, true, err))
            return false;
    }
    return true;
}

static bool print_statements(const struct table_command *command, bool adds, struct error *err) {
    bool is_first = true;
    for (size_t i = 0; i < command->count; i++) {
        struct buffer sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
        const struct membership *member = &command->members[i];
        if (member->is_ours || member->is_published == adds)
            continue;
        membership_append_sql(&sql, &command->config->source, member, adds);
        if (buffer_text(&sql) == NULL)
            return error_no_memory(err);
        if (is_first)
            printf("pgcdc did not create the publication, so run this at the source:\n");
        is_first = false;
        printf("  %s;\n", sql.data);
    }
    return true;
}

static bool find_unsent(struct table_command *command, struct chunk_add *add, struct error *err) {
    oid_t *unsent = arena_alloc(&command->arena, (command->count + 1) * sizeof *unsent);
    if (unsent == NULL)
        return error_no_memory(err);
    add->unsent = unsent;
    for (size_t i = 0; i < command->count; i++)
        if (!command->members[i].is_published)
            unsent[add->unsent_count++] = command->members[i].oid;
    return true;
}

static bool add_tables(struct table_command *command, struct error *err) {
    struct chunk_add add = add_of(command);
    bool runs = false;
    if (!find_unsent(command, &add, err))
        return false;
    for (size_t i = 0; i < command->count; i++)
        if (!check_added(command, &command->members[i], err))
            return false;
    if (!session_execute(&command->source, "begin", err) || !read_by_oid(command, &add.tables, err) ||
        !check_identity(command, &add.tables, err) || !publish(command, err) || !chunk_add_store(&add, err) ||
        !tell_engine(command, &runs, err) || !session_execute(&command->source, "commit", err))
        return false;
    print_planned(&add, "they are planned already, or were published before: `pgcdc table copy` copies their "
                        "rows again");
    if (!print_statements(command, true, err))
        return false;
    print_next(runs);
    return true;
}

/* ---- remove ---- */

static bool remove_one(struct table_command *command, const struct membership *member, struct error *err) {
    const struct chunk_add add = add_of(command);
    if (member->is_published && member->is_for_all) {
        error_set(err, ERROR_CONFIG,
                  "table %s is sent by a publication for all tables, or for all of its schema",
                  name_of(member).text);
        return error_remedy(err, "no table can be taken out of such a publication");
    }
    return (!member->is_published || !member->is_ours ||
            membership_change(&command->source, &command->config->source, member, false, err)) &&
           chunk_add_remove(&add, member->oid, err) &&
           edit_store_forget(&command->edit_store, member->oid, err);
}

static bool remove_tables(struct table_command *command, struct error *err) {
    bool runs = false;
    for (size_t i = 0; i < command->count; i++)
        if (!remove_one(command, &command->members[i], err))
            return false;
    if (!tell_engine(command, &runs, err) || !print_statements(command, false, err))
        return false;
    printf("their rows in the sinks stay; no change of them arrives any more\n");
    return true;
}

/* ---- list ---- */

/* Of all sinks; the names stay the plans'. */
static struct chunk_tally tally_of(const struct chunk_tally_list *lists, size_t count, oid_t oid) {
    struct chunk_tally sum = {0};
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < lists[i].count; j++)
            if (lists[i].tables[j].oid == oid)
                chunk_tally_add(&sum, &lists[i].tables[j]);
    return sum;
}

static bool count_chunks(struct table_command *command, struct chunk_tally_list *ret_lists,
                         struct error *err) {
    struct chunk_plan plans[CHECKPOINT_SINKS_MAX];
    if (!chunk_add_look(command->config, command->line->stop, &command->arena, plans, err))
        return false;
    for (size_t i = 0; i < command->config->sink_count; i++)
        if (!chunk_tally_plan(&plans[i], &command->arena, &ret_lists[i], err))
            return false;
    return true;
}

/* Tables whose copy is planned and waits until they are published. */
static void print_waiting(const struct chunk_tally_list *lists, size_t sink_count,
                          const struct table_list *published) {
    for (size_t i = 0; i < sink_count; i++)
        for (size_t k = 0; k < lists[i].count; k++) {
            const struct chunk_tally *tally = &lists[i].tables[k];
            bool is_known = i > 0 && tally_of(lists, i, tally->oid).chunk_count > 0;
            for (size_t n = 0; n < published->count; n++)
                is_known = is_known || published->tables[n].oid == tally->oid;
            const struct membership member = {.schema = tally->schema, .name = tally->table};
            if (!is_known)
                printf("%-40s %10s  waits until it is published, or removed\n", name_of(&member).text, "");
        }
}

static bool list_tables(struct table_command *command, struct error *err) {
    struct chunk_tally_list lists[CHECKPOINT_SINKS_MAX];
    struct table_list list = {0};
    if (!catalog_read_tables(&command->source, command->config->source.publication_array, &command->arena,
                             &list, err) ||
        !count_chunks(command, lists, err))
        return false;
    for (size_t i = 0; i < list.count; i++) {
        const struct table *table = &list.tables[i];
        const struct chunk_tally tally = tally_of(lists, command->config->sink_count, table->oid);
        const struct membership member = {.schema = table->schema, .name = table->name};
        printf("%-40s %10s  ", name_of(&member).text, amount_bytes((double) table->bytes_estimate).text);
        if (tally.chunk_count == 0)
            printf("streams\n");
        else
            printf("copying, %" PRIu64 " of %s done\n", tally.chunks_done,
                   amount_count(tally.chunk_count, "chunk").text);
    }
    print_waiting(lists, command->config->sink_count, &list);
    return true;
}

/* ---- commands ---- */

static enum exit_code run_with(const struct command_line *line, const char *name,
                               bool (*work)(struct table_command *command, struct error *err)) {
    struct table_command command = {.line = line, .config = line->config};
    struct error err = {0};
    arena_init(&command.arena, BLOCK_BYTES, ARENA_BYTES_MAX);
    bool done = source_open(&command.source, &line->config->source, line->stop, &err);
    if (done && session_is_standby(&command.source))
        done = error_set(&err, ERROR_CONFIG,
                         "the source is a standby, on which no table can be added or copied");
    command.removes = work == remove_tables;
    done = done && read_members(&command, &err) && work(&command, &err);
    session_close(&command.source);
    arena_release(&command.arena);
    if (done)
        return EXIT_DONE;
    log_command_failure(name, &err);
    return err.kind == ERROR_STOPPED ? EXIT_FAILED : exit_code_of(&err);
}

static enum exit_code run_list(const struct command_line *line) {
    return run_with(line, "table list", list_tables);
}

static enum exit_code run_add(const struct command_line *line) {
    return run_with(line, "table add", add_tables);
}

static enum exit_code run_remove(const struct command_line *line) {
    return run_with(line, "table remove", remove_tables);
}

static enum exit_code run_copy(const struct command_line *line) {
    return run_with(line, "table copy", copy_tables);
}

static const struct command_use USES[] = {
    {&OPTION_CONFIG, NULL, true},
    {0},
};

static const struct command_use COPY_USES[] = {
    {&OPTION_CONFIG, NULL, true},
    {&OPTION_WHERE,
     "only the chunks in which, on either side, this is true of a row; whole chunks are copied", false},
    {0},
};

const struct command command_table_list = {
    .name = "table list",
    .uses = USES,
    .summary = "list the published tables, and how far the copy of each is",
    .help = "Each published table with its size at the source: \"streams\", or how many of its chunks are\n"
            "copied while a copy goes on.",
    .many = MANY_EACH,
    .run = run_list,
};

const struct command command_table_add = {
    .name = "table add",
    .uses = USES,
    .argument = "TABLE...",
    .summary = "publish tables, copy their rows and stream their changes",
    .help =
        "Also while the pipeline runs. Each table is copied in chunks while changes are applied, and is\n"
        "exact once the copy is complete. Missing tables are created in the sinks; a table with rows is\n"
        "refused, but a sink that appends (kafka) gets the rows after what it has. The plan is stored in\n"
        "the sinks before the tables are published, so a kill loses nothing: repeat the command. If pgcdc\n"
        "did not create the publication, the statement for the source is printed, and the copy begins\n"
        "once it was run. Tables are named as in SQL.",
    .run = run_add,
};

const struct command command_table_remove = {
    .name = "table remove",
    .uses = USES,
    .argument = "TABLE...",
    .summary = "take tables out of the publication",
    .help = "Their changes are no longer sent, and a copy of them ends. Their rows in the sinks stay.\n"
            "Tables are named as in SQL.",
    .run = run_remove,
};

const struct command command_table_copy = {
    .name = "table copy",
    .uses = COPY_USES,
    .argument = "TABLE...",
    .summary = "copy published tables again, while the pipeline runs",
    .help =
        "Replaces the rows in the sinks, chunk by chunk, while changes are applied. Use it after a\n"
        "statement that PostgreSQL does not replicate, such as add column ... default random(), or when\n"
        "`pgcdc verify` finds rows that differ. Each chunk is replaced in one transaction, so readers see\n"
        "the rows before or after it. A sink that appends (kafka) gets the rows once more, as read records\n"
        "between two transactions: the last record of each key is right, but a row that the source has no\n"
        "more stays. A table whose messages have no key is refused there. Tables are named as in SQL.",
    .run = run_copy,
};
