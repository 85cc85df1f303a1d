/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mutate.c - runs a fuzz target without libFuzzer: random changes to recorded streams, for some seconds.
 *
 *     decoder_fuzz SECONDS FOLDER    FOLDER/NAME.bin are what it starts from
 *
 * The seed is printed, and PGCDC_TEST_SEED runs the same inputs in the same order; each input is handed over
 * in memory of exactly its size, so that a sanitizer sees a read past its end.
 */
#include <glob.h>
#include <stdbool.h>
#include <string.h>

#include "tests/fuzz/target.h"
#include "tests/support/random.h"
#include "tests/support/recording.h"

#define INPUT_BYTES_MAX ((size_t) 32 * 1024)
#define PATH_BYTES_MAX 1000

struct input {
    uint8_t bytes[INPUT_BYTES_MAX];
    size_t size;
};

struct corpus {
    struct recording *recordings;
    uint32_t count;
};

static struct slice corpus_pick(const struct corpus *corpus, struct random *random) {
    const struct recording *recording = &corpus->recordings[random_below(random, corpus->count)];
    return (struct slice){.data = recording->bytes, .size = cursor_left(&recording->cursor)};
}

/* A piece of source, of which a fuzzer would choose the beginning most of all. */
static struct slice random_piece(struct slice source, struct random *random) {
    size_t start = random_below(random, 2) == 0 ? 0 : random_below(random, (uint32_t) source.size);
    size_t size = 1 + random_below(random, (uint32_t) (source.size - start));
    return (struct slice){.data = source.data + start, .size = size < 4096 ? size : 4096};
}

static void insert(struct input *input, size_t at, struct slice piece) {
    if (input->size + piece.size > INPUT_BYTES_MAX)
        return;
    memmove(input->bytes + at + piece.size, input->bytes + at, input->size - at);
    memcpy(input->bytes + at, piece.data, piece.size);
    input->size += piece.size;
}

static void erase(struct input *input, size_t at, size_t size) {
    memmove(input->bytes + at, input->bytes + at + size, input->size - at - size);
    input->size -= size;
}

static void mutate(struct input *input, const struct corpus *corpus, struct random *random) {
    static const uint8_t TELLING[] = {0,   1,   2,   0x7f, 0x80, 0xff, 'n', 'u', 't',
                                      'b', 'N', 'K', 'O',  'I',  'U',  'D', 'T'};
    uint32_t at = random_below(random, (uint32_t) input->size);
    switch (random_below(random, 6)) {
    case 0:
        input->bytes[at] ^= (uint8_t) (1u << random_below(random, 8));
        return;
    case 1:
        input->bytes[at] = TELLING[random_below(random, sizeof TELLING)];
        return;
    case 2:
        input->bytes[at] = (uint8_t) random_next(random);
        return;
    case 3:
        insert(input, at, random_piece(corpus_pick(corpus, random), random));
        return;
    case 4:
        if (input->size > 1)
            erase(input, at, 1 + random_below(random, (uint32_t) input->size - at) % 64);
        return;
    default:
        insert(input, at, (struct slice){.data = (const char *) input->bytes, .size = at < 64 ? at : 64});
    }
}

/* Most inputs are nearly right, so that the decoder gets far. */
static void make_input(struct input *input, const struct corpus *corpus, struct random *random) {
    struct slice start = corpus_pick(corpus, random);
    input->size = start.size < INPUT_BYTES_MAX ? start.size : INPUT_BYTES_MAX;
    memcpy(input->bytes, start.data, input->size);
    uint32_t mutations = 1 + random_below(random, 1 + random_below(random, 8));
    for (uint32_t i = 0; i < mutations && input->size > 0; i++)
        mutate(input, corpus, random);
}

static void run_input(const struct input *input) {
    uint8_t *exact = malloc(input->size + (input->size == 0));
    if (exact == NULL)
        abort();
    memcpy(exact, input->bytes, input->size);
    LLVMFuzzerTestOneInput(exact, input->size);
    free(exact);
}

static bool corpus_open(struct corpus *corpus, const char *folder) {
    glob_t found = {0};
    char pattern[PATH_BYTES_MAX];
    snprintf(pattern, sizeof pattern, "%s/*.bin", folder);
    if (glob(pattern, 0, NULL, &found) == 0)
        corpus->recordings = calloc(found.gl_pathc, sizeof *corpus->recordings);
    for (size_t i = 0; corpus->recordings != NULL && i < found.gl_pathc; i++)
        corpus->count += recording_open(&corpus->recordings[corpus->count], found.gl_pathv[i]);
    globfree(&found);
    return corpus->count > 0;
}

static void corpus_close(struct corpus *corpus) {
    for (uint32_t i = 0; i < corpus->count; i++)
        recording_close(&corpus->recordings[i]);
    free(corpus->recordings);
}

static uint64_t run(const struct corpus *corpus, int64_t milliseconds) {
    static struct input input;
    struct random random = random_start("mutate");
    uint64_t count = 0;
    for (int64_t end_ms = clock_now_ms() + milliseconds; clock_now_ms() < end_ms; count++) {
        make_input(&input, corpus, &random);
        run_input(&input);
    }
    return count;
}

int main(int argc, char **argv) {
    struct corpus corpus = {0};
    if (argc != 3 || !corpus_open(&corpus, argv[2])) {
        fprintf(stderr, "usage: %s SECONDS FOLDER, which has recordings\n", argv[0]);
        return 2;
    }
    printf("%" PRIu64 " inputs\n", run(&corpus, strtol(argv[1], NULL, 10) * 1000));
    corpus_close(&corpus);
    return EXIT_SUCCESS;
}
