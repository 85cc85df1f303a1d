/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arena_test.c - memory given back all at once: alignment, the maximum, and random programs against a model.
 */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cdc/base/arena.h"
#include "tests/support/random.h"

#define BLOCK_BYTES 1024u
#define BYTES_MAX 8192u

static void release(struct arena *arena) {
    arena_release(arena);
}

static struct arena small_arena(void) {
    struct arena arena;
    arena_init(&arena, BLOCK_BYTES, BYTES_MAX);
    return arena;
}

Test(arena, every_allocation_is_aligned) {
    AUTO(release) struct arena arena = small_arena();
    for (size_t size = 0; size < 40; size++)
        cr_assert_eq((uintptr_t) arena_alloc(&arena, size) % 8, 0, "size %zu", size);
}

Test(arena, nothing_is_not_a_failure) {
    AUTO(release) struct arena arena = small_arena();
    cr_assert_not_null(arena_alloc(&arena, 0), "the first allocation, before there is a block");
}

Test(arena, a_piece_larger_than_a_block_fits) {
    AUTO(release) struct arena arena = small_arena();
    char *bytes = arena_alloc(&arena, 3 * BLOCK_BYTES);
    cr_assert_not_null(bytes);
    memset(bytes, 'x', 3 * BLOCK_BYTES);
}

Test(arena, the_maximum_is_reached_and_never_passed) {
    AUTO(release) struct arena arena = small_arena();
    cr_assert_not_null(arena_alloc(&arena, BYTES_MAX));
    cr_assert_null(arena_alloc(&arena, 1));
    cr_assert_eq(arena.held_bytes, BYTES_MAX);
}

Test(arena, sizes_beyond_the_maximum_do_not_wrap) {
    AUTO(release) struct arena arena = small_arena();
    cr_assert_null(arena_alloc(&arena, BYTES_MAX + 1));
    cr_assert_null(arena_alloc(&arena, SIZE_MAX));
    cr_assert_null(arena_alloc(&arena, SIZE_MAX - 7));
}

Test(arena, reset_makes_the_maximum_available_again) {
    AUTO(release) struct arena arena = small_arena();
    for (int round = 0; round < 100; round++) {
        cr_assert_not_null(arena_alloc(&arena, BYTES_MAX / 2));
        arena_reset(&arena);
        cr_assert_eq(arena.used_bytes, 0);
    }
}

/*
 * Blocks kept by reset once did not count: an arena filled with ordinary blocks and reset could then give out
 * its whole maximum in one large piece and hold twice what it may.
 */
Test(arena, spare_blocks_count_against_the_maximum) {
    AUTO(release) struct arena arena = small_arena();
    while (arena_alloc(&arena, 200) != NULL)
        continue;
    arena_reset(&arena);
    cr_assert_eq(arena.spare_bytes, BYTES_MAX);
    cr_assert_not_null(arena_alloc(&arena, BYTES_MAX - BLOCK_BYTES));
    cr_assert_leq(arena.held_bytes + arena.spare_bytes, BYTES_MAX);
}

Test(arena, ordinary_blocks_are_used_again) {
    AUTO(release) struct arena arena = small_arena();
    void *first = arena_alloc(&arena, 64);
    arena_reset(&arena);
    cr_assert_eq(arena_alloc(&arena, 64), first);
}

Test(arena, alloc_zero_clears_recycled_bytes) {
    AUTO(release) struct arena arena = small_arena();
    memset(arena_alloc(&arena, 64), 'x', 64);
    arena_reset(&arena);
    const char *bytes = arena_alloc_zero(&arena, 64);
    for (int i = 0; i < 64; i++)
        cr_assert_eq(bytes[i], 0);
}

Test(arena, a_copy_ends_in_nul) {
    AUTO(release) struct arena arena = small_arena();
    const char *copy = arena_copy(&arena, (struct slice){.data = "shopping", .size = 4});
    cr_assert_str_eq(copy, "shop");
    cr_assert_str_eq(arena_copy(&arena, (struct slice){0}), "");
}

Test(arena, release_accepts_zeroed_and_released) {
    struct arena arena = {0};
    arena_release(&arena);
    arena = small_arena();
    cr_assert_not_null(arena_alloc(&arena, 10));
    arena_release(&arena);
    arena_release(&arena);
    cr_assert_eq(arena.held_bytes, 0);
}

/*
 * The model: pieces filled with a byte of their own. No two overlap when all still hold it at the reset, and
 * the arena's bound holds after every step.
 */
#define PIECES_MAX 512

struct piece {
    unsigned char *bytes;
    size_t size;
    unsigned char fill;
};

static void check_pieces(const struct piece *pieces, size_t count) {
    for (size_t i = 0; i < count; i++)
        for (size_t at = 0; at < pieces[i].size; at++)
            cr_assert_eq(pieces[i].bytes[at], pieces[i].fill, "piece %zu was written over", i);
}

static size_t random_size(struct random *random) {
    switch (random_below(random, 8)) {
    case 0:
        return random_below(random, BYTES_MAX + 100);
    case 1:
        return BLOCK_BYTES / 4 + random_below(random, 3) - 1;
    case 2:
        return BLOCK_BYTES + random_below(random, 3) - 1;
    default:
        return random_below(random, 100);
    }
}

static void run_program(struct random *random) {
    AUTO(release) struct arena arena = small_arena();
    struct piece pieces[PIECES_MAX];
    size_t count = 0;
    for (int step = 0; step < 400; step++) {
        if (count == PIECES_MAX || random_below(random, 20) == 0) {
            check_pieces(pieces, count);
            arena_reset(&arena);
            count = 0;
        }
        struct piece piece = {.size = random_size(random), .fill = (unsigned char) random_below(random, 256)};
        piece.bytes = arena_alloc(&arena, piece.size);
        cr_assert_leq(arena.held_bytes + arena.spare_bytes, BYTES_MAX);
        cr_assert_leq(arena.used_bytes, arena.held_bytes);
        if (piece.bytes == NULL)
            continue;
        memset(piece.bytes, piece.fill, piece.size);
        pieces[count++] = piece;
    }
    check_pieces(pieces, count);
}

Test(arena, random_programs_agree_with_the_model) {
    struct random random = random_start("arena");
    for (int program = 0; program < 300; program++)
        run_program(&random);
}

/* ---- trim ---- */

enum { TRIMMERS = 8 };

static void *trim_together(void *barrier) {
    pthread_barrier_wait(barrier);
    heap_trim();
    return NULL;
}

/* Ends the process: 0 once all threads have returned. */
static void trim_in_threads(void) {
    pthread_barrier_t barrier;
    pthread_barrier_init(&barrier, NULL, TRIMMERS);
    pthread_t threads[TRIMMERS];
    for (int i = 0; i < TRIMMERS; i++)
        if (pthread_create(&threads[i], NULL, trim_together, &barrier) != 0)
            _exit(1);
    for (int i = 0; i < TRIMMERS; i++)
        pthread_join(threads[i], NULL);
    _exit(0);
}

/* Under a sanitizer the first trim of a process sets up glibc's heap: without a mutex every tenth crashed. */
Test(arena, threads_trim_the_heap_at_once) {
    for (int process = 0; process < 100; process++) {
        pid_t child = fork();
        if (child == 0)
            trim_in_threads();
        int status = -1;
        cr_assert_eq(waitpid(child, &status, 0), child);
        cr_assert_eq(status, 0, "process %d ended with %x", process, (unsigned) status);
    }
}
