/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mapping.c - what a mapped value costs: a chain of steps over names, and the two masks that need a key.
 */
#include "sinks/mapping/step.h"

#include <stdlib.h>

#include "bench/micro/micro.h"
#include "sinks/mapping/mask_key.h"

enum { VALUES = 256 };

struct mapping_state {
    struct arena arena;
    struct mask_key key;
    struct step steps[3];
    size_t count;
    const char *value;
};

static struct mapping_state *mapping_open(const char *value) {
    struct mapping_state *state = micro_alloc(sizeof *state);
    struct error err = {0};
    arena_init(&state->arena, 64 << 10, 1 << 20);
    micro_must(mask_key_init(&state->key, slice_of("0123456789abcdef"), &err), &err);
    state->value = value;
    return state;
}

static void mapping_add(struct mapping_state *state, enum step_kind kind) {
    state->steps[state->count++] = (struct step){.kind = kind, .key = &state->key};
}

static void *mapping_email(void) {
    struct mapping_state *state = mapping_open(" Ann.Example@Example.com ");
    mapping_add(state, STEP_TRIM);
    mapping_add(state, STEP_LOWER);
    return state;
}

static void *mapping_hashed_email(void) {
    struct mapping_state *state = mapping_email();
    mapping_add(state, STEP_HASH);
    return state;
}

static void *mapping_account(void) {
    struct mapping_state *state = mapping_open("DE89 3704 0044 0532 0130 00");
    mapping_add(state, STEP_DIGITS);
    return state;
}

static void mapping_pass(void *opened) {
    struct mapping_state *state = opened;
    struct error err = {0};
    struct slice mapped;
    for (int i = 0; i < VALUES; i++)
        micro_must(
            steps_run(state->steps, state->count, slice_of(state->value), &state->arena, &mapped, &err),
            &err);
    arena_reset(&state->arena);
}

static void mapping_close(void *opened) {
    struct mapping_state *state = opened;
    mask_key_release(&state->key);
    arena_release(&state->arena);
    free(state);
}

const struct micro MICRO_MAPPING[] = {
    {"mapping_trim_lower", VALUES, mapping_email, mapping_pass, mapping_close},
    {"mapping_trim_lower_hash", VALUES, mapping_hashed_email, mapping_pass, mapping_close},
    {"mapping_digits", VALUES, mapping_account, mapping_pass, mapping_close},
    {0}};
