/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mapped_view.c - a sink behind the mapping that only hands on.
 */
#include "sinks/mapping/mapped_view.h"

#include "sinks/mapping/mapped_sink.h"

enum { BLOCK_BYTES = 1024 };

#define ARENA_BYTES_MAX ((size_t) 64 << 10)

/* Both sinks have the view's config, which is the view's first member. */
static struct mapped_view *view_of(const struct sink *sink) {
    return (struct mapped_view *) (uintptr_t) sink->config;
}

static bool view_open(struct sink *sink, struct position *ret_position, struct error *err) {
    (void) sink;
    (void) err;
    *ret_position = (struct position){0};
    return true;
}

static bool view_write(struct sink *sink, const struct sink_span *span, struct error *err) {
    struct mapped_view *view = view_of(sink);
    return view->take(view->context, span->changes, span->count, err);
}

static bool view_commit(struct sink *sink, const struct position *position, enum commit_wait wait,
                        struct position *ret_durable, struct error *err) {
    (void) sink;
    (void) wait;
    (void) err;
    *ret_durable = position != NULL ? *position : (struct position){0};
    return true;
}

static void view_close(struct sink *sink) {
    (void) sink;
}

static const struct option_spec NO_OPTIONS[] = {{0}};

static const struct sink_ops VIEW = {
    .type = "view",
    .options = NO_OPTIONS,
    .size = sizeof(struct sink),
    .takes_text_only = true,
    .open = view_open,
    .write = view_write,
    .commit = view_commit,
    .close = view_close,
};

static struct sink *make_sink(struct mapped_view *view, const atomic_bool *stop) {
    const struct sink_ops *ops = mapped_sink_ops(&VIEW, &view->arena);
    return ops != NULL ? sink_new(ops, &view->config, stop) : NULL;
}

bool mapped_view_open(struct mapped_view *view, const struct sink_config *config, mapped_view_take *take,
                      void *context, const atomic_bool *stop, struct error *err) {
    struct position position;
    *view = (struct mapped_view){.config = *config, .take = take, .context = context};
    view->config.mapped = &VIEW;
    arena_init(&view->arena, BLOCK_BYTES, ARENA_BYTES_MAX);
    view->sink = make_sink(view, stop);
    return view->sink != NULL ? view->sink->ops->open(view->sink, &position, err) : error_no_memory(err);
}

bool mapped_view_write(struct mapped_view *view, const struct change *changes, size_t count,
                       struct error *err) {
    const struct sink_span span = {.changes = changes, .count = count};
    return view->sink->ops->write(view->sink, &span, err);
}

void mapped_view_close(struct mapped_view *view) {
    if (view->sink != NULL)
        view->sink->ops->close(view->sink);
    sink_free(view->sink);
    arena_release(&view->arena);
    view->sink = NULL;
}
