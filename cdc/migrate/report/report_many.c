/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report_many.c - one report over the databases of a file: the part of each, and one hash.
 *
 * One database at a time has sessions open. What cannot be read is a part that is open.
 */
#include "cdc/migrate/report/report_many.h"

#include <stdlib.h>
#include <string.h>

#include "cdc/base/page.h"
#include "cdc/base/visible.h"

#define BODY_BYTES_MAX ((size_t) 512 << 20)

struct made {
    struct report *report;
    struct config *config;
};

struct many {
    const struct report_many *options;
    struct buffer bodies; /* of the databases, with commas */
    struct buffer page;   /* when it is asked for */
    struct made last;     /* that could be read: its session computes the hash */
    size_t open_count;
};

static void made_release(struct made *made) {
    if (made->report != NULL)
        report_release(made->report);
    free(made->report);
    config_free(made->config);
    *made = (struct made){0};
}

/* ---- one database ---- */

static void print_head(const struct many *many, const struct config_database *database) {
    if (many->options->is_json)
        return;
    printf("database ");
    visible_print(stdout, slice_of(database->source));
    printf(", pipeline %s\n", database->name);
}

static void page_head(struct many *many, const struct config_database *database) {
    buffer_append_text(&many->page, "<h1>");
    page_text(&many->page, database->source);
    buffer_printf(&many->page, "</h1><p>pipeline %s\n", database->name);
}

static bool put_unread(struct many *many, const struct config_database *database, const struct error *why,
                       struct error *err) {
    struct json_writer json AUTO(json_writer_release) = {0};
    struct slice line;
    if (!json_writer_init(&json, err))
        return false;
    json_writer_begin(&json);
    yajl_gen_map_open(json.generator);
    json_put_field(&json, "pipeline", database->name);
    json_put_key(&json, "closes");
    yajl_gen_bool(json.generator, false);
    json_put_key(&json, "open");
    yajl_gen_array_open(json.generator);
    json_put_text(&json, slice_of(error_line(why).text));
    yajl_gen_array_close(json.generator);
    yajl_gen_map_close(json.generator);
    if (!json_writer_finish(&json, &line, err))
        return false;
    buffer_append(&many->bodies, line.data, line.size - 1);
    return true;
}

static bool take_unread(struct many *many, const struct config_database *database, const struct error *why,
                        struct error *err) {
    many->open_count++;
    if (many->options->html_path != NULL) {
        buffer_append_text(&many->page, "<div class=\"verdict problem\">");
        page_text(&many->page, error_line(why).text);
        buffer_append_text(&many->page, "</div>\n");
    }
    if (!many->options->is_json) {
        printf("open:\n  ");
        visible_print(stdout, slice_of(error_line(why).text));
        printf("\n\n");
    }
    return put_unread(many, database, why, err);
}

static bool take_report(struct many *many, struct report *report, struct error *err) {
    struct json_writer json AUTO(json_writer_release) = {0};
    struct buffer body AUTO(buffer_release) = {0};
    struct report_hash unused;
    if (!report_write_body(report, &json, &body, &unused, err))
        return false;
    buffer_append_slice(&many->bodies, buffer_slice(&body));
    many->open_count += !report_closes(report);
    if (many->options->html_path != NULL)
        report_append_html(&many->page, report);
    if (!many->options->is_json) {
        report_print_part(report, stdout);
        printf("\n");
    }
    return true;
}

static bool make_report(const struct many *many, const struct config_database *database, struct made *made,
                        struct error *err) {
    const struct report_many *options = many->options;
    made->report = calloc(1, sizeof *made->report);
    if (made->report == NULL)
        return error_no_memory(err);
    *made->report = (struct report){.stop = options->stop, .pgcdc = options->pgcdc};
    if (!config_read(options->config->path, &made->config, err) ||
        !config_choose_database(made->config, database, err))
        return false;
    made->report->config = made->config;
    return schema_find_sink(made->config, NULL, &made->report->sink, err) && report_make(made->report, err);
}

static bool add_database(struct many *many, const struct config_database *database, struct error *err) {
    struct made made = {0};
    struct error why = {0};
    if (many->bodies.size > 0)
        buffer_append_text(&many->bodies, ",");
    print_head(many, database);
    if (many->options->html_path != NULL)
        page_head(many, database);
    if (make_report(many, database, &made, &why)) {
        made_release(&many->last);
        many->last = made;
        return take_report(many, made.report, err);
    }
    made_release(&made);
    if (why.kind == ERROR_STOPPED) {
        *err = why;
        return false;
    }
    return take_unread(many, database, &why, err);
}

/* ---- all of them ---- */

/* {"pipeline": …, "closes": …, "databases": […]} */
static bool write_whole(struct many *many, struct buffer *whole, struct report_hash *ret_hash,
                        struct error *err) {
    buffer_printf(whole, "{\"pipeline\":\"%s\",\"closes\":%s,\"databases\":[", many->options->config->name,
                  many->open_count == 0 ? "true" : "false");
    buffer_append_slice(whole, buffer_slice(&many->bodies));
    buffer_append_text(whole, "]}");
    if (buffer_text(whole) == NULL)
        return error_no_memory(err);
    if (many->last.report == NULL)
        return error_set(err, ERROR_RETRY, "target: none of the databases can be read");
    return report_hash_bytes(many->last.report, buffer_slice(whole), ret_hash, err);
}

static bool end_page(struct many *many, const struct report_hash *hash, struct error *err) {
    if (many->options->html_path == NULL)
        return true;
    buffer_printf(&many->page, "<p><small>SHA-256 of the report as JSON: %s</small>\n", hash->text);
    return page_end(&many->page, many->options->html_path, err);
}

static bool end_report(struct many *many, struct error *err) {
    struct buffer whole AUTO(buffer_release) = {.bytes_max = BODY_BYTES_MAX};
    const size_t count = many->options->config->migrate.database_count;
    struct report_hash hash;
    if (!write_whole(many, &whole, &hash, err) || !end_page(many, &hash, err))
        return false;
    if (many->options->is_json) {
        printf("{\"report\":%s,\"sha256\":\"%s\"}\n", whole.data, hash.text);
        return true;
    }
    printf("databases: %zu of %zu close\nsha256 of the report as JSON: %s\n", count - many->open_count, count,
           hash.text);
    return true;
}

static bool add_all(struct many *many, struct error *err) {
    const struct migrate_config *migrate = &many->options->config->migrate;
    if (many->options->html_path != NULL)
        page_begin(&many->page, "Migration report", many->options->config->name);
    for (size_t i = 0; i < migrate->database_count; i++)
        if (!add_database(many, &migrate->databases[i], err))
            return false;
    return end_report(many, err);
}

bool report_many(const struct report_many *options, bool *ret_closes, struct error *err) {
    struct many many = {.options = options, .bodies = {.bytes_max = BODY_BYTES_MAX}};
    const bool is_made = add_all(&many, err);
    *ret_closes = is_made && many.open_count == 0;
    made_release(&many.last);
    buffer_release(&many.bodies);
    buffer_release(&many.page);
    return is_made;
}
