/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stdout_sink_test.c - an output that is full, closed, paused or cut.
 *
 * Standard output is the test's own from its first line on; what fails is told on standard error.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/support/change_builder.h"
#include "tests/support/sink_calls.h"

struct scene {
    const struct sink_config config;
    atomic_bool stop;
    struct change_builder builder;
    const struct relation *relation;
    struct sink *sink;
};

static void become_stdout(int fd) {
    cr_assert_geq(fd, 0);
    cr_assert_eq(dup2(fd, STDOUT_FILENO), STDOUT_FILENO);
    close(fd);
}

static void open_scene(struct scene *scene) {
    struct position position;
    struct error err = {0};
    cr_assert(scene->sink->ops->open(scene->sink, &position, &err), "%s", err.text);
    cr_assert_not(position_exists(&position));
}

static void scene_init(struct scene *scene) {
    change_builder_init(&scene->builder);
    scene->relation =
        change_builder_relation(&scene->builder, "t", REPLICA_IDENTITY_DEFAULT, "id int8 key, v text");
    scene->sink = sink_new(sink_ops_find("stdout"), &scene->config, &scene->stop);
    cr_assert_not_null(scene->sink);
    open_scene(scene);
}

static void scene_release(struct scene *scene) {
    scene->sink->ops->close(scene->sink);
    sink_free(scene->sink);
}

/* Writes one transaction of count rows with this text. */
static struct position write_rows(struct scene *scene, int count, const char *text) {
    struct error err = {0};
    change_builder_begin(&scene->builder);
    for (int id = 0; id < count; id++)
        change_builder_insert(&scene->builder, scene->relation, ROW("7", text));
    change_builder_commit(&scene->builder);
    cr_assert(sink_write(scene->sink, scene->builder.changes, scene->builder.count, &err), "%s", err.text);
    const struct position position = change_builder_position(&scene->builder);
    change_builder_clear(&scene->builder);
    return position;
}

static void expect_failure(struct scene *scene, const struct position *position, enum error_kind kind,
                           const char *text) {
    struct error err = {0};
    cr_assert_not(sink_flush(scene->sink, position, &err));
    cr_assert_eq(err.kind, kind, "%s", err.text);
    cr_assert_not_null(strstr(err.text, text), "%s", err.text);
}

static void expect_flushed(struct scene *scene, const struct position *position) {
    struct error err = {0};
    cr_assert(sink_flush(scene->sink, position, &err), "%s", err.text);
}

Test(stdout_sink, a_full_disk_is_retried) {
    AUTO(scene_release) struct scene scene = {.config = {.pipeline = "p", .name = "s"}};
    become_stdout(open("/dev/full", O_WRONLY));
    scene_init(&scene);
    const struct position position = write_rows(&scene, 1, "v");
    expect_failure(&scene, &position, ERROR_RETRY, "standard output: No space left");
}

Test(stdout_sink, an_output_that_is_closed_is_refused) {
    struct scene scene = {.config = {.pipeline = "p", .name = "s"}};
    struct position position;
    struct error err = {0};
    become_stdout(open("/dev/null", O_RDONLY)); /* what main puts there */
    scene.sink = sink_new(sink_ops_find("stdout"), &scene.config, &NEVER_STOPPED);
    cr_assert_not(scene.sink->ops->open(scene.sink, &position, &err));
    cr_assert_eq(err.kind, ERROR_CONFIG);
    scene.sink->ops->close(scene.sink);
    close(STDOUT_FILENO);
    cr_assert_not(scene.sink->ops->open(scene.sink, &position, &err));
    cr_assert_eq(err.kind, ERROR_CONFIG);
    scene_release(&scene);
}

static int pipe_as_stdout(void) {
    int fds[2];
    cr_assert_eq(pipe2(fds, O_CLOEXEC), 0);
    become_stdout(fds[1]);
    return fds[0];
}

Test(stdout_sink, a_reader_that_has_gone_ends_the_run) {
    AUTO(scene_release) struct scene scene = {.config = {.pipeline = "p", .name = "s"}};
    signal(SIGPIPE, SIG_IGN);
    close(pipe_as_stdout());
    scene_init(&scene);
    const struct position position = write_rows(&scene, 1, "v");
    expect_failure(&scene, &position, ERROR_SYSTEM, "Broken pipe");
}

/* Sets the flag once the pipe is full. */
static void *stop_when_full(void *argument) {
    struct pollfd fd = {.fd = STDOUT_FILENO, .events = POLLOUT};
    while (poll(&fd, 1, 0) > 0)
        sched_yield();
    atomic_store((atomic_bool *) argument, true);
    return NULL;
}

Test(stdout_sink, a_stop_does_not_wait_for_a_reader_that_pauses) {
    AUTO(scene_release) struct scene scene = {.config = {.pipeline = "p", .name = "s"}};
    const int read_fd = pipe_as_stdout();
    pthread_t thread;
    scene_init(&scene);
    const struct position position = write_rows(&scene, 4000, "a text that fills the pipe in the end");
    cr_assert_eq(pthread_create(&thread, NULL, stop_when_full, &scene.stop), 0);
    expect_failure(&scene, &position, ERROR_STOPPED, "stopped");
    pthread_join(thread, NULL);
    close(read_fd);
}

/* ---- what arrives ---- */

static char *output(size_t *ret_size) {
    const off_t end = lseek(STDOUT_FILENO, 0, SEEK_END);
    char *bytes = calloc(1, (size_t) end + 1);
    cr_assert_not_null(bytes);
    cr_assert_eq(pread(STDOUT_FILENO, bytes, (size_t) end, 0), end);
    *ret_size = (size_t) end;
    return bytes;
}

static int new_file(void) {
    char path[] = "/tmp/pgcdc_stdout_XXXXXX";
    int fd = mkstemp(path);
    unlink(path);
    return fd;
}

static size_t count_lines(void) {
    size_t size = 0, lines = 0;
    char *bytes = output(&size);
    for (size_t i = 0; i < size; i++)
        lines += bytes[i] == '\n';
    cr_assert(size == 0 || bytes[size - 1] == '\n');
    free(bytes);
    return lines;
}

Test(stdout_sink, a_transaction_larger_than_memory_is_shown_at_its_commit) {
    AUTO(scene_release) struct scene scene = {.config = {.pipeline = "p", .name = "s"}};
    static char large[1000];
    struct position position;
    become_stdout(new_file());
    scene_init(&scene);
    memset(large, 'x', sizeof large - 1);
    for (int i = 0; i < 40; i++) {
        position = write_rows(&scene, 1000, large);
        cr_assert_eq(lseek(STDOUT_FILENO, 0, SEEK_END), 0, "nothing is shown before the commit");
    }
    expect_flushed(&scene, &position);
    cr_assert_eq(count_lines(), 40000);
}

/* A process that was killed while it wrote, then another that appends to the same file. */
Test(stdout_sink, a_line_that_was_cut_is_not_continued) {
    AUTO(scene_release) struct scene scene = {.config = {.pipeline = "p", .name = "s"}};
    static const char CUT[] = "{\"op\":\"ins";
    size_t size = 0;
    become_stdout(new_file());
    cr_assert_eq(write(STDOUT_FILENO, CUT, strlen(CUT)), (ssize_t) strlen(CUT));
    scene_init(&scene);
    struct position position = write_rows(&scene, 1, "v");
    expect_flushed(&scene, &position);
    char *bytes = output(&size);
    cr_assert_eq(strncmp(bytes, "{\"op\":\"ins\n{\"op\":\"insert\"", 24), 0, "%s", bytes);
    free(bytes);
    cr_assert_eq(count_lines(), 2);
    scene.sink->ops->close(scene.sink);
    open_scene(&scene);
    position = write_rows(&scene, 1, "v");
    expect_flushed(&scene, &position);
    cr_assert_eq(count_lines(), 3, "a file that ends with a line gets no empty one");
}

/* A full disk in the middle of a commit, then room. */
Test(stdout_sink, after_an_error_the_next_line_is_whole) {
    AUTO(scene_release) struct scene scene = {.config = {.pipeline = "p", .name = "s"}};
    char bytes[65536];
    const int read_fd = pipe_as_stdout();
    scene_init(&scene);
    write_rows(&scene, 4000, "a text that fills the pipe in the end");
    struct error err = {0};
    const struct position position = change_builder_position(&scene.builder);
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, stop_when_full, &scene.stop), 0);
    cr_assert_not(sink_flush(scene.sink, &position, &err));
    pthread_join(thread, NULL);
    scene.sink->ops->close(scene.sink);
    atomic_store(&scene.stop, false);
    ssize_t size = read(read_fd, bytes, sizeof bytes);
    cr_assert_gt(size, 0);
    cr_assert_neq(bytes[size - 1], '\n', "the test has cut a line");
    open_scene(&scene);
    const struct position next = write_rows(&scene, 1, "v");
    expect_flushed(&scene, &next);
    size = read(read_fd, bytes, sizeof bytes);
    cr_assert_eq(strncmp(bytes, "\n{\"op\":\"insert\"", 14), 0);
    close(read_fd);
}

Test(stdout_sink, a_text_that_is_not_utf8_is_the_data_s_fault) {
    AUTO(scene_release) struct scene scene = {.config = {.pipeline = "p", .name = "s"}};
    struct error err = {0};
    become_stdout(new_file());
    scene_init(&scene);
    change_builder_begin(&scene.builder);
    change_builder_insert(&scene.builder, scene.relation, ROW("7", "\xff"));
    cr_assert_not(sink_write(scene.sink, scene.builder.changes, scene.builder.count, &err));
    cr_assert_eq(err.kind, ERROR_DATA);
    cr_assert_not_null(strstr(err.text, "\"t\""), "%s", err.text);
    cr_assert_null(strstr(err.text, "\xff"));
}
