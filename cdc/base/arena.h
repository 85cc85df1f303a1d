/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arena.h - memory that is released all at once.
 *
 * Blocks have block_bytes; a piece that does not fit in one gets a block of its own, which a reset frees. An
 * arena never holds more than its maximum. Not thread safe: an arena has one owner at a time. Under
 * AddressSanitizer, bytes that are not allocated (never handed out, or released) are poisoned, so that any
 * access to them is reported.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "cdc/base/attributes.h"
#include "cdc/base/slice.h"

struct arena_block;

struct arena {
    struct arena_block *blocks; /* the block in use is first */
    char *next;                 /* free bytes of blocks[0] */
    char *end;
    struct arena_block *spare; /* emptied blocks of block_bytes, kept by reset */
    size_t block_bytes;
    size_t held_bytes;  /* all blocks except the spare ones */
    size_t spare_bytes; /* the spare ones; held and spare together never exceed bytes_max */
    size_t used_bytes;  /* handed out since the last reset */
    size_t bytes_max;
    /* incremented by each reset and release: pointers of an older generation are no longer valid */
    uint64_t generation;
};

void arena_init(struct arena *arena, size_t block_bytes, size_t bytes_max);

/* Frees everything; the arena may be zeroed or released already. */
void arena_release(struct arena *arena);

/* Releases everything that was handed out; ordinary blocks are kept for the next use. */
void arena_reset(struct arena *arena);

/* Bytes aligned to 8, not cleared, also for size 0. NULL when memory or the maximum is exhausted. */
MUST_CHECK void *arena_alloc(struct arena *arena, size_t size);

/* The same, cleared. */
MUST_CHECK void *arena_alloc_zero(struct arena *arena, size_t size);

/* A copy followed by a NUL, which size does not include; NULL as above. */
MUST_CHECK char *arena_copy(struct arena *arena, struct slice bytes);

/*
 * Returns to the system what was freed in the heap. Any thread; one at a time. With another allocator in the
 * program (a sanitizer's, a preloaded one), the first trim sets up glibc's own heap, which two threads at
 * once do not survive.
 */
void heap_trim(void);
