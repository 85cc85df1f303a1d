/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state_file_test.c - a file is seen whole or as it was.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cdc/base/buffer.h"
#include "cdc/engine/state_file.h"

#include "cdc/base/file.h"

#define MAGIC "pgcdc test 1\n"

struct scene {
    char directory[64];
    struct state_file file;
};

static struct scene new_scene(void) {
    struct scene scene = {.directory = "/tmp/pgcdc_state_file_XXXXXX"};
    cr_assert_not_null(mkdtemp(scene.directory));
    scene.file = state_file_of(scene.directory, "shop", "warehouse", "test");
    return scene;
}

static void remove_scene(struct scene *scene) {
    struct error err;
    cr_assert(state_file_remove(&scene->file, &err), "%s", err.text);
    cr_assert(state_file_remove(&scene->file, &err), "again: %s", err.text);
    cr_assert_eq(rmdir(scene->directory), 0, "nothing else was left in the directory");
}

static void take(const char *line, void *context) {
    buffer_append_text(context, line);
}

static void expect(const struct scene *scene, const char *text) {
    AUTO(buffer_release) struct buffer taken = {.bytes_max = 1024};
    buffer_append_text(&taken, "");
    state_file_read(&scene->file, MAGIC, take, &taken);
    cr_assert_str_eq(taken.size > 0 ? buffer_text(&taken) : "", text);
}

static void write_text(const struct scene *scene, const char *text) {
    struct error err;
    cr_assert(state_file_write(&scene->file, slice_of(text), true, &err), "%s", err.text);
}

Test(state_file, it_is_named_after_pipeline_and_sink) {
    struct state_file file = state_file_of("/state", "shop", NULL, "failure");
    cr_assert_str_eq(file.path, "/state/shop.failure");
    cr_assert_str_eq(file.temporary, "/state/shop.failure.new");
    file = state_file_of("/state", "shop", "warehouse", "skip");
    cr_assert_str_eq(file.path, "/state/shop.warehouse.skip");
}

Test(state_file, a_new_text_is_seen_when_it_is_placed) {
    AUTO(remove_scene) struct scene scene = new_scene();
    struct error err;
    expect(&scene, "");
    write_text(&scene, MAGIC "a 1\nb 2\n");
    expect(&scene, "");
    cr_assert(state_file_place(&scene.file, &err), "%s", err.text);
    cr_assert(directory_sync(scene.directory, &err), "%s", err.text);
    expect(&scene, "a 1\nb 2\n");
    write_text(&scene, MAGIC "a 3\n");
    expect(&scene, "a 1\nb 2\n");
}

Test(state_file, what_a_kill_left_is_not_added_to) {
    AUTO(remove_scene) struct scene scene = new_scene();
    struct error err;
    struct stat status;
    write_text(&scene, MAGIC "a longer text that was never placed\n");
    write_text(&scene, MAGIC "a\n");
    cr_assert(state_file_place(&scene.file, &err), "%s", err.text);
    expect(&scene, "a\n");
    cr_assert_eq(stat(scene.file.path, &status), 0);
    cr_assert_eq(status.st_mode & 0777 & ~0640u, 0, "others cannot read it");
}

Test(state_file, a_file_of_another_kind_says_nothing) {
    AUTO(remove_scene) struct scene scene = new_scene();
    struct error err;
    write_text(&scene, "pgcdc test 2\na\n");
    cr_assert(state_file_place(&scene.file, &err), "%s", err.text);
    expect(&scene, "");
}

Test(state_file, an_error_names_the_file) {
    const struct state_file file = state_file_of("/nonexistent", "shop", NULL, "test");
    struct error err;
    cr_assert_not(state_file_write(&file, slice_of("a"), false, &err));
    cr_assert_eq(err.kind, ERROR_SYSTEM);
    cr_assert_not_null(strstr(err.text, "/nonexistent/shop.test.new"));
    cr_assert_not(state_file_place(&file, &err));
    cr_assert(state_file_remove(&file, &err), "there is nothing to remove");
}
