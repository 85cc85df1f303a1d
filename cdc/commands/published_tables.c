/* SPDX-License-Identifier: Apache-2.0 */
/*
 * published_tables.c - see published_tables.h.
 */
#include "cdc/commands/published_tables.h"

#include "cdc/base/buffer.h"
#include "cdc/source/publication.h"
#include "cdc/source/scope.h"

enum { OIDS_BYTES_MAX = 16 << 20 };

/* Those that a publication would send that is still to be made. */
static bool read_candidates(struct session *session, const struct source_config *source, struct arena *arena,
                            struct table_list *ret_list, struct error *err) {
    struct buffer oids AUTO(buffer_release) = {.bytes_max = OIDS_BYTES_MAX};
    PGresult *rows AUTO_PGRESULT = NULL;
    if (!scope_read_candidates(session, source, &rows, err) || !scope_check_patterns(source, rows, err))
        return false;
    for (int row = 0; row < PQntuples(rows); row++)
        if (PQgetvalue(rows, row, CANDIDATE_PERSISTENCE)[0] == 'p' &&
            config_takes_table(source, PQgetvalue(rows, row, CANDIDATE_SCHEMA),
                               PQgetvalue(rows, row, CANDIDATE_NAME)))
            buffer_printf(&oids, "%c%s", oids.size == 0 ? '{' : ',', PQgetvalue(rows, row, CANDIDATE_OID));
    buffer_append_text(&oids, oids.size == 0 ? "{}" : "}");
    const char *text = buffer_text(&oids);
    return text != NULL ? catalog_read_oids(session, text, arena, ret_list, err) : error_no_memory(err);
}

static bool read_published(struct session *session, const struct source_config *source, struct arena *arena,
                           struct table_list *ret_list, struct error *err) {
    bool exists = false;
    if (!publication_exists(session, source, &exists, err))
        return false;
    return exists ? catalog_read_tables(session, source->publication_array, arena, ret_list, err)
                  : read_candidates(session, source, arena, ret_list, err);
}

/* Those that the configuration takes. */
static bool keep_taken(const struct source_config *source, struct arena *arena, struct table_list *list,
                       struct error *err) {
    struct table *taken = arena_alloc(arena, (list->count + 1) * sizeof *taken);
    size_t count = 0;
    if (taken == NULL)
        return error_no_memory(err);
    for (size_t i = 0; i < list->count; i++)
        if (config_takes_table(source, list->tables[i].schema, list->tables[i].name))
            taken[count++] = list->tables[i];
    *list = (struct table_list){.tables = taken, .count = count};
    return true;
}

bool published_tables_read(struct session *source, const struct source_config *config, struct arena *arena,
                           struct table_list *ret_list, struct error *err) {
    return read_published(source, config, arena, ret_list, err) && keep_taken(config, arena, ret_list, err);
}
