/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arena.c - blocks in a list, the one in use first.
 */
#include "cdc/base/arena.h"

#include <assert.h>
#include <malloc.h>
#include <pthread.h>
#include <sanitizer/asan_interface.h>
#include <stdlib.h>

#define ALIGNMENT 8u

struct arena_block {
    struct arena_block *next;
    size_t size;
    _Alignas(ALIGNMENT) char bytes[];
};

void arena_init(struct arena *arena, size_t block_bytes, size_t bytes_max) {
    assert(block_bytes > 0);
    assert(block_bytes % ALIGNMENT == 0);
    assert(block_bytes <= bytes_max);
    assert(bytes_max <= SIZE_MAX / 2);
    *arena = (struct arena){.block_bytes = block_bytes, .bytes_max = bytes_max};
}

static void free_list(struct arena_block *block) {
    while (block != NULL) {
        struct arena_block *next = block->next;
        free(block);
        block = next;
    }
}

void arena_release(struct arena *arena) {
    free_list(arena->blocks);
    free_list(arena->spare);
    *arena = (struct arena){.block_bytes = arena->block_bytes,
                            .bytes_max = arena->bytes_max,
                            .generation = arena->generation + 1};
}

void arena_reset(struct arena *arena) {
    struct arena_block *block = arena->blocks;
    while (block != NULL) {
        struct arena_block *next = block->next;
        if (block->size == arena->block_bytes) {
            ASAN_POISON_MEMORY_REGION(block->bytes, block->size);
            block->next = arena->spare;
            arena->spare = block;
            arena->spare_bytes += block->size;
        } else {
            free(block);
        }
        block = next;
    }
    arena->blocks = NULL;
    arena->next = NULL;
    arena->end = NULL;
    arena->held_bytes = 0;
    arena->used_bytes = 0;
    arena->generation++;
}

static struct arena_block *take_spare(struct arena *arena) {
    struct arena_block *block = arena->spare;
    if (block != NULL) {
        arena->spare = block->next;
        arena->spare_bytes -= block->size;
    }
    return block;
}

/* Spare blocks count against the maximum too, so they are freed to make room for a block of another size. */
static struct arena_block *malloc_block(struct arena *arena, size_t size) {
    while (arena->spare != NULL && size > arena->bytes_max - arena->held_bytes - arena->spare_bytes)
        free(take_spare(arena));
    struct arena_block *block = malloc(sizeof *block + size);
    if (block != NULL)
        block->size = size;
    return block;
}

static struct arena_block *new_block(struct arena *arena, size_t size) {
    if (size > arena->bytes_max - arena->held_bytes)
        return NULL;
    struct arena_block *block = size == arena->block_bytes ? take_spare(arena) : NULL;
    if (block == NULL)
        block = malloc_block(arena, size);
    if (block == NULL)
        return NULL;
    ASAN_POISON_MEMORY_REGION(block->bytes, size);
    arena->held_bytes += size;
    return block;
}

/* A large piece goes after the block in use, so that the rest of that block is not wasted. */
static void *alloc_own_block(struct arena *arena, size_t size) {
    struct arena_block *block = new_block(arena, size);
    if (block == NULL)
        return NULL;
    if (arena->blocks == NULL) {
        block->next = NULL;
        arena->blocks = block;
    } else {
        block->next = arena->blocks->next;
        arena->blocks->next = block;
    }
    return block->bytes;
}

static bool next_block(struct arena *arena) {
    struct arena_block *block = new_block(arena, arena->block_bytes);
    if (block == NULL)
        return false;
    block->next = arena->blocks;
    arena->blocks = block;
    arena->next = block->bytes;
    arena->end = block->bytes + block->size;
    return true;
}

void *arena_alloc(struct arena *arena, size_t size) {
    if (size > arena->bytes_max)
        return NULL;
    size = size == 0 ? ALIGNMENT : (size + ALIGNMENT - 1) & ~(size_t) (ALIGNMENT - 1);
    if (size > (size_t) (arena->end - arena->next)) {
        if (size > arena->block_bytes / 4) {
            void *own = alloc_own_block(arena, size);
            arena->used_bytes += own != NULL ? size : 0;
            if (own != NULL)
                ASAN_UNPOISON_MEMORY_REGION(own, size);
            return own;
        }
        if (!next_block(arena))
            return NULL;
    }
    void *bytes = arena->next;
    arena->next += size;
    arena->used_bytes += size;
    ASAN_UNPOISON_MEMORY_REGION(bytes, size);
    return bytes;
}

void *arena_alloc_zero(struct arena *arena, size_t size) {
    void *bytes = arena_alloc(arena, size);
    if (bytes != NULL)
        memset(bytes, 0, size);
    return bytes;
}

char *arena_copy(struct arena *arena, struct slice bytes) {
    char *copy = arena_alloc(arena, bytes.size + 1);
    if (copy == NULL)
        return NULL;
    if (bytes.size > 0)
        memcpy(copy, bytes.data, bytes.size);
    copy[bytes.size] = '\0';
    return copy;
}

void heap_trim(void) {
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&mutex);
    malloc_trim(0);
    pthread_mutex_unlock(&mutex);
}
