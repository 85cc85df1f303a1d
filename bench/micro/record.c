/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record.c - changes into the bytes that consumers read, as the Kafka sink writes them.
 */
#include "proto/record.h"

#include <stdlib.h>

#include "bench/micro/micro.h"
#include "bench/micro/rows.h"

#define RECORD_BYTES_MAX ((size_t) 64 << 20)

struct record_state {
    struct rows rows;
    struct buffer buffer;
};

static struct record_state *open_empty(void) {
    struct record_state *state = micro_alloc(sizeof *state);
    buffer_init(&state->buffer, RECORD_BYTES_MAX);
    return state;
}

static void *open_insert_narrow(void) {
    struct record_state *state = open_empty();
    rows_insert_narrow(&state->rows);
    return state;
}

static void *open_insert_wide(void) {
    struct record_state *state = open_empty();
    rows_insert_wide(&state->rows);
    return state;
}

static void write_one(struct record_state *state, const struct change *change) {
    struct error err; /* to clear it would take longer than what is measured */
    buffer_reset(&state->buffer);
    micro_must(record_write(change, 0, &state->buffer, &err), &err);
}

static void rows_pass(void *opened) {
    struct record_state *state = opened;
    const struct change_builder *builder = &state->rows.builder;
    for (size_t i = 1; i < builder->count - 1; i++)
        write_one(state, &builder->changes[i]);
}

static void record_close(void *opened) {
    struct record_state *state = opened;
    rows_release(&state->rows);
    buffer_release(&state->buffer);
    free(state);
}

const struct micro MICRO_RECORD[] = {
    {"record_insert_narrow", ROWS, open_insert_narrow, rows_pass, record_close},
    {"record_insert_wide", ROWS, open_insert_wide, rows_pass, record_close},
    {0}};
