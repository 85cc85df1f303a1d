/* SPDX-License-Identifier: Apache-2.0 */
/*
 * golden.c - recorded streams, decoded, against the text that people have reviewed.
 *
 *     golden print NAME.bin    the text
 *     golden test FOLDER       TAP: every NAME.bin decoded is NAME.txt
 */
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/change_text.h"
#include "tests/support/recording.h"

#define TEXT_BYTES_MAX ((size_t) 64 * 1024 * 1024)
#define PATH_BYTES_MAX 1000

struct decoding_run {
    struct decoder *decoder;
    const struct relation *described;
    struct arena arena;
};

static bool start(struct decoding_run *run) {
    decoder_free(run->decoder);
    run->decoder = decoder_new();
    run->described = NULL;
    return run->decoder != NULL;
}

static void release(struct decoding_run *run) {
    decoder_free(run->decoder);
    arena_release(&run->arena);
}

/* What is refused is part of the text as well; a new decoder goes on behind it, like a new session. */
static bool decode_stream(struct decoding_run *run, struct cursor *cursor, struct buffer *text) {
    struct error err = {0};
    struct slice message;
    lsn_t lsn;
    while (recording_next(cursor, &lsn, &message)) {
        struct change *change = NULL;
        if (!decoder_decode(run->decoder, lsn, message, &run->arena, &change, &err)) {
            buffer_printf(text, "%s error: %s\n", error_kind_name(err.kind), err.text);
            if (!start(run))
                return false;
        } else if (change != NULL) {
            change_text_append(text, change, run->decoder, &run->described);
        }
    }
    return buffer_ok(text);
}

static bool print_recording(const char *path, struct buffer *text) {
    AUTO(recording_close) struct recording recording = {0};
    AUTO(release) struct decoding_run run = {0};
    arena_init(&run.arena, 64 * 1024, TEXT_BYTES_MAX);
    return start(&run) && recording_open(&recording, path) && decode_stream(&run, &recording.cursor, text);
}

/* Where the two part: that line of each, as TAP diagnostics. */
static void explain_difference(const char *expected, const char *actual) {
    int line = 1;
    size_t start = 0;
    for (size_t at = 0; expected[at] != '\0' && expected[at] == actual[at]; at++) {
        if (expected[at] == '\n') {
            start = at + 1;
            line++;
        }
    }
    printf("# line %d\n# expected: %.*s\n# decoded:  %.*s\n", line, (int) strcspn(expected + start, "\n"),
           expected + start, (int) strcspn(actual + start, "\n"), actual + start);
}

static bool read_text(const char *path, struct buffer *text) {
    AUTO(recording_close) struct recording file = {0};
    if (!recording_open(&file, path))
        return false;
    buffer_append(text, file.cursor.next, cursor_left(&file.cursor));
    return buffer_ok(text);
}

/* recorded is NAME.bin. */
static bool test_recording(const char *recorded) {
    AUTO(buffer_release) struct buffer actual = {.bytes_max = TEXT_BYTES_MAX};
    AUTO(buffer_release) struct buffer expected = {.bytes_max = TEXT_BYTES_MAX};
    char reviewed[PATH_BYTES_MAX];
    snprintf(reviewed, sizeof reviewed, "%.*s.txt", (int) (strlen(recorded) - strlen(".bin")), recorded);
    if (!print_recording(recorded, &actual) || !read_text(reviewed, &expected))
        return false;
    if (slice_equal(buffer_slice(&actual), buffer_slice(&expected)))
        return true;
    explain_difference(buffer_text(&expected), buffer_text(&actual));
    return false;
}

static int test_all(const glob_t *recordings) {
    size_t failed = 0;
    printf("TAP version 13\n1..%zu\n", recordings->gl_pathc);
    for (size_t i = 0; i < recordings->gl_pathc; i++) {
        bool passed = test_recording(recordings->gl_pathv[i]);
        printf("%s %zu - %s\n", passed ? "ok" : "not ok", i + 1, strrchr(recordings->gl_pathv[i], '/') + 1);
        failed += !passed;
    }
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int test(const char *folder) {
    AUTO(globfree) glob_t recordings = {0};
    char pattern[PATH_BYTES_MAX];
    snprintf(pattern, sizeof pattern, "%s/*.bin", folder);
    if (glob(pattern, 0, NULL, &recordings) != 0) {
        fprintf(stderr, "%s: no recording\n", pattern);
        return EXIT_FAILURE;
    }
    return test_all(&recordings);
}

static int print(const char *path) {
    AUTO(buffer_release) struct buffer text = {.bytes_max = TEXT_BYTES_MAX};
    if (!print_recording(path, &text))
        return EXIT_FAILURE;
    fwrite(text.data, 1, text.size, stdout);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "print") == 0)
        return print(argv[2]);
    if (argc == 3 && strcmp(argv[1], "test") == 0)
        return test(argv[2]);
    fprintf(stderr, "usage: golden print NAME.bin | golden test FOLDER\n");
    return 2;
}
