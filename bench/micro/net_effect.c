/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net_effect.c - what a span of changes does, all in all: rows that are each touched once, and hot ones.
 */
#include "sinks/postgres/apply/net_effect.h"

#include <stdio.h>
#include <stdlib.h>

#include "bench/micro/micro.h"
#include "tests/support/plain_table.h"

enum { CHANGES = 10000, HOT_KEYS = 100, ID_MAX = 16 };

struct net_state {
    struct change_builder builder;
    struct net_effect net;
    struct target_table **tables; /* of each change */
};

static struct net_state *open_with(uint32_t keys) {
    struct net_state *state = micro_alloc(sizeof *state);
    struct change_builder *builder = &state->builder;
    change_builder_init(builder);
    const struct relation *relation =
        change_builder_relation(builder, "t", REPLICA_IDENTITY_DEFAULT, "id int8 key, a int4, b text");
    struct target_table *table = plain_table(builder, relation);
    change_builder_begin(builder);
    for (uint32_t i = 0; i < CHANGES; i++) {
        char id[ID_MAX];
        snprintf(id, sizeof id, "%u", i * 7919 % keys);
        change_builder_update(builder, relation, NULL, ROW(id, "17", "a text of some length"));
    }
    change_builder_commit(builder);
    net_effect_init(&state->net);
    state->tables = micro_alloc(builder->count * sizeof(*state->tables));
    for (size_t i = 0; i < builder->count; i++)
        state->tables[i] = change_is_row(&builder->changes[i]) ? table : NULL;
    return state;
}

static void *open_distinct(void) {
    return open_with(CHANGES);
}

static void *open_hot(void) {
    return open_with(HOT_KEYS);
}

static void net_pass(void *opened) {
    struct net_state *state = opened;
    struct error err = {0};
    const struct span span = {
        .changes = state->builder.changes, .tables = state->tables, .count = state->builder.count};
    micro_must(net_effect_build(&state->net, &span, &err), &err);
}

static void net_close(void *opened) {
    struct net_state *state = opened;
    net_effect_release(&state->net);
    change_builder_release(&state->builder);
    free(state->tables);
    free(state);
}

const struct micro MICRO_NET_EFFECT[] = {{"net_effect_distinct", CHANGES, open_distinct, net_pass, net_close},
                                         {"net_effect_hot", CHANGES, open_hot, net_pass, net_close},
                                         {0}};
