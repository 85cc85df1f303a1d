/* SPDX-License-Identifier: Apache-2.0 */
/*
 * checkpoint.c - one write of the checkpoint, of a pipeline with two sinks. Waiting for the disk is not
 * counted.
 */
#include "cdc/engine/checkpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench/micro/micro.h"

enum { PATH_BYTES = 256 };

struct checkpoint_state {
    char folder[PATH_BYTES];
    struct checkpoint checkpoint;
};

static void *checkpoint_open(void) {
    struct checkpoint_state *state = micro_alloc(sizeof *state);
    snprintf(state->folder, sizeof state->folder, "/tmp/pgcdc-micro-XXXXXX");
    micro_must(mkdtemp(state->folder) != NULL, &(struct error){.text = "no folder in /tmp"});
    state->checkpoint = (struct checkpoint){.phase = CHECKPOINT_STREAMING,
                                            .system_id = UINT64_C(7243829562931234567),
                                            .timeline = 1,
                                            .slot = "shop",
                                            .sink_count = 2,
                                            .sinks = {{.name = "warehouse"}, {.name = "events"}}};
    for (int i = 0; i < 2; i++)
        state->checkpoint.sinks[i].position =
            (struct position){.end_lsn = 0x16B374D848 + (lsn_t) i, .system_id = 7, .timeline = 1};
    return state;
}

static void checkpoint_pass(void *opened) {
    struct checkpoint_state *state = opened;
    struct error err = {0};
    micro_must(checkpoint_write(state->folder, "shop", &state->checkpoint, &err), &err);
}

static void checkpoint_close(void *opened) {
    struct checkpoint_state *state = opened;
    struct error err = {0};
    micro_must(checkpoint_remove(state->folder, "shop", &err), &err);
    rmdir(state->folder);
    free(state);
}

const struct micro MICRO_CHECKPOINT[] = {
    {"checkpoint_write", 1, checkpoint_open, checkpoint_pass, checkpoint_close}, {0}};
