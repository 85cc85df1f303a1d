/* SPDX-License-Identifier: Apache-2.0 */
/*
 * start_test.c - every decision and every refusal of a start, at the LSNs where they turn over.
 */
#include <criterion/criterion.h>

#include "cdc/engine/start.h"

#define SYSTEM UINT64_C(7000000000000000001)

/*
 * A pipeline of two exactly-once sinks at 100 and 120, whose slot and disk are at 100: everything in order.
 */
struct scene {
    struct sink_ops ops[2];
    struct config_sink sinks[2];
    struct config config;
    struct checkpoint checkpoint;
    struct source_identity identity;
    struct slot_facts slot;
    bool has_no_slot;
    lsn_t first_lsn;
    struct position positions[2];
};

static struct position at(lsn_t end_lsn) {
    return (struct position){.end_lsn = end_lsn, .system_id = SYSTEM, .timeline = 1};
}

static void set_scene(struct scene *scene) {
    *scene = (struct scene){
        .config = {.name = "shop", .state = "/state", .sink_count = 2},
        .checkpoint = {.phase = CHECKPOINT_STREAMING, .slot = "shop", .sink_count = 2},
        .identity = {.system_id = SYSTEM, .timeline = 1, .flush_lsn = 200, .database = "db"},
        .slot =
            {.exists = true, .is_logical = true, .is_pgoutput = true, .database = "db", .confirmed_lsn = 100},
        .positions = {at(100), at(120)}};
    scene->config.source = (struct source_config){.slot = "shop", .publication = "shop"};
    scene->config.sinks = scene->sinks;
    for (int i = 0; i < 2; i++) {
        scene->ops[i].stores_position = true;
        scene->sinks[i].ops = &scene->ops[i];
        scene->sinks[i].sink.name = i == 0 ? "first" : "second";
        snprintf(scene->checkpoint.sinks[i].name, CHECKPOINT_NAME_MAX, "%s", scene->sinks[i].sink.name);
        scene->checkpoint.sinks[i].position = at(100);
    }
}

static void nobody_has_a_position(struct scene *scene) {
    scene->positions[0] = scene->positions[1] = (struct position){0};
    scene->checkpoint = (struct checkpoint){.phase = CHECKPOINT_NONE};
}

/* As a start does it. */
static bool decide(struct scene *scene, enum start_action *ret_action, struct error *err) {
    start_complete(&scene->config, &scene->checkpoint, scene->positions);
    const struct start_facts facts = {.config = &scene->config,
                                      .checkpoint = &scene->checkpoint,
                                      .identity = &scene->identity,
                                      .slot = scene->has_no_slot ? NULL : &scene->slot,
                                      .first_lsn = scene->first_lsn,
                                      .positions = scene->positions};
    return start_decide(&facts, ret_action, err);
}

static void expect_action(struct scene *scene, enum start_action expected) {
    enum start_action action;
    struct error err = {0};
    cr_assert(decide(scene, &action, &err), "%s", err.text);
    cr_assert_eq(action, expected);
}

static void expect_refusal(struct scene *scene, const char *naming) {
    enum start_action action;
    struct error err = {0};
    cr_assert_not(decide(scene, &action, &err));
    cr_assert_eq(err.kind, ERROR_REFUSE, "%s", err.text);
    cr_assert_not_null(strstr(error_line(&err).text, naming), "the refusal does not name \"%s\": %s", naming,
                       err.text);
}

Test(start, streams_when_slot_disk_and_sinks_are_in_order) {
    struct scene scene;
    set_scene(&scene);
    expect_action(&scene, START_STREAM);
    cr_assert_eq(start_lsn(scene.positions, 2), 100, "from the sink that is furthest behind");
}

Test(start, the_slot_may_stand_exactly_at_a_sink) {
    struct scene scene;
    set_scene(&scene);
    scene.slot.confirmed_lsn = 100;
    expect_action(&scene, START_STREAM);
    scene.slot.confirmed_lsn = 101;
    expect_refusal(&scene, "0/65, ahead of sink first at 0/64");
}

Test(start, the_disk_may_stand_exactly_at_a_sink) {
    struct scene scene;
    set_scene(&scene);
    scene.checkpoint.sinks[1].position.end_lsn = 120;
    expect_action(&scene, START_STREAM);
    scene.checkpoint.sinks[1].position.end_lsn = 121;
    expect_refusal(&scene, "sink second is at 0/78 but was at 0/79");
}

Test(start, a_sink_may_stand_exactly_at_the_end_of_the_wal) {
    struct scene scene;
    set_scene(&scene);
    scene.identity.flush_lsn = 120;
    expect_action(&scene, START_STREAM);
    scene.identity.flush_lsn = 119;
    expect_refusal(&scene, "beyond the end of the source's WAL at 0/77");
}

/* It replays after a restart, or comes after its primary. */
Test(start, a_standby_that_is_behind_a_sink_is_waited_for) {
    struct scene scene;
    enum start_action action;
    struct error err = {0};
    set_scene(&scene);
    scene.identity.flush_lsn = 119;
    scene.identity.is_standby = true;
    cr_assert_not(decide(&scene, &action, &err));
    cr_assert_eq(err.kind, ERROR_RETRY, "%s", err.text);
    scene.identity.flush_lsn = 120;
    expect_action(&scene, START_STREAM);
}

Test(start, a_slot_that_a_standby_lacks_is_looked_for_at_the_primary) {
    struct scene scene;
    set_scene(&scene);
    scene.identity.is_standby = true;
    scene.slot = (struct slot_facts){0};
    expect_refusal(&scene, "target_session_attrs=read-write");
}

Test(start, another_cluster_is_refused) {
    struct scene scene;
    set_scene(&scene);
    scene.identity.system_id = SYSTEM + 1;
    expect_refusal(&scene, "7000000000000000002");
}

Test(start, a_missing_slot_is_refused_when_a_position_exists) {
    struct scene scene;
    set_scene(&scene);
    scene.slot = (struct slot_facts){0};
    expect_refusal(&scene, "slot shop is missing");
}

Test(start, a_lost_slot_is_refused) {
    struct scene scene;
    set_scene(&scene);
    scene.slot.is_lost = true;
    snprintf(scene.slot.reason, sizeof scene.slot.reason, "wal_removed");
    expect_refusal(&scene, "wal_removed");
}

/* One remedy for all causes sends the operator to the wrong setting. */
Test(start, each_cause_of_a_lost_slot_has_its_own_remedy) {
    static const char *const CAUSES[][2] = {{"wal_removed", "max_slot_wal_keep_size"},
                                            {"idle_timeout", "idle_replication_slot_timeout"},
                                            {"rows_removed", "hot_standby_feedback"},
                                            {"wal_level_insufficient", "wal_level = logical"},
                                            {"one of a later release", "the server's log"}};
    for (size_t i = 0; i < sizeof CAUSES / sizeof CAUSES[0]; i++) {
        struct scene scene;
        set_scene(&scene);
        scene.slot.is_lost = true;
        snprintf(scene.slot.reason, sizeof scene.slot.reason, "%s", CAUSES[i][0]);
        expect_refusal(&scene, CAUSES[i][0]);
        expect_refusal(&scene, CAUSES[i][1]);
        expect_refusal(&scene, "`pgcdc drop`");
    }
}

Test(start, a_slot_of_another_plugin_or_database_is_refused) {
    struct scene scene;
    set_scene(&scene);
    scene.slot.is_pgoutput = false;
    expect_refusal(&scene, "pgoutput");
    set_scene(&scene);
    snprintf(scene.slot.database, sizeof scene.slot.database, "other");
    expect_refusal(&scene, "database other");
}

Test(start, a_slot_that_sends_prepared_transactions_is_refused) {
    struct scene scene;
    set_scene(&scene);
    scene.slot.is_two_phase = true;
    expect_refusal(&scene, "two_phase");
}

Test(start, an_emptied_sink_is_refused) {
    struct scene scene;
    set_scene(&scene);
    scene.positions[0] = (struct position){0};
    expect_refusal(&scene, "sink first has no position although it had 0/64");
}

Test(start, a_new_sink_beside_old_ones_is_refused) {
    struct scene scene;
    set_scene(&scene);
    scene.positions[1] = (struct position){0};
    scene.checkpoint.sink_count = 1;
    expect_refusal(&scene, "sink second has no position but others");
}

Test(start, the_disk_is_the_truth_for_a_sink_without_a_position) {
    struct scene scene;
    set_scene(&scene);
    scene.ops[1].stores_position = false;
    scene.positions[1] = (struct position){0};
    scene.checkpoint.sinks[1].position = at(110);
    expect_action(&scene, START_STREAM);
    cr_assert_eq(scene.positions[1].end_lsn, 110);
}

Test(start, a_corrupt_disk_does_not_matter_when_the_sinks_know) {
    struct scene scene;
    set_scene(&scene);
    scene.checkpoint = (struct checkpoint){.phase = CHECKPOINT_CORRUPT};
    expect_action(&scene, START_STREAM);
}

Test(start, a_corrupt_disk_and_sinks_without_a_position_are_refused) {
    struct scene scene;
    set_scene(&scene);
    nobody_has_a_position(&scene);
    scene.slot.exists = false;
    scene.checkpoint.phase = CHECKPOINT_CORRUPT;
    expect_refusal(&scene, "corrupt");
}

Test(start, a_disk_of_a_newer_pgcdc_is_refused) {
    struct scene scene;
    set_scene(&scene);
    scene.checkpoint = (struct checkpoint){.phase = CHECKPOINT_NEWER};
    expect_refusal(&scene, "/state/shop.checkpoint was written by a newer pgcdc");
    nobody_has_a_position(&scene);
    scene.checkpoint.phase = CHECKPOINT_NEWER;
    expect_refusal(&scene, "/state/shop.checkpoint was written by a newer pgcdc");
}

Test(start, a_position_in_a_stream_that_is_not_read_is_refused) {
    struct scene scene;
    set_scene(&scene);
    snprintf(scene.checkpoint.sinks[1].stream, CHECKPOINT_STREAM_MAX, "orders/3");
    expect_refusal(&scene, "sink second in stream orders/3, which this pipeline does not read");
    scene.sinks[1].sink.stream = "orders/3";
    expect_action(&scene, START_STREAM);
}

/* A position in another stream is neither a sink's position nor a proof of its loss. */
Test(start, the_disk_counts_in_its_own_stream) {
    struct scene scene;
    set_scene(&scene);
    scene.ops[1].stores_position = false;
    scene.positions[1] = (struct position){0};
    scene.sinks[1].sink.stream = "orders/3";
    expect_refusal(&scene, "sink second has no position but others");
}

/* ---- a reader without a slot ---- */

Test(start, without_a_slot_a_new_pipeline_creates_none) {
    struct scene scene;
    set_scene(&scene);
    nobody_has_a_position(&scene);
    scene.has_no_slot = true;
    expect_action(&scene, START_NEW);
    scene.checkpoint.phase = CHECKPOINT_COPYING;
    expect_action(&scene, START_NEW);
    scene.checkpoint.phase = CHECKPOINT_CORRUPT;
    expect_refusal(&scene, "corrupt");
}

Test(start, without_a_slot_changes_that_are_gone_are_refused) {
    struct scene scene;
    set_scene(&scene);
    scene.has_no_slot = true;
    scene.first_lsn = 100;
    expect_action(&scene, START_STREAM);
    scene.first_lsn = 101;
    expect_refusal(&scene, "begin at 0/65, after sink first at 0/64");
}

Test(start, nothing_anywhere_is_a_new_pipeline) {
    struct scene scene;
    set_scene(&scene);
    nobody_has_a_position(&scene);
    scene.slot = (struct slot_facts){0};
    expect_action(&scene, START_NEW);
}

Test(start, a_slot_of_ours_without_positions_is_an_interrupted_copy) {
    struct scene scene;
    set_scene(&scene);
    nobody_has_a_position(&scene);
    scene.checkpoint.phase = CHECKPOINT_COPYING;
    snprintf(scene.checkpoint.slot, sizeof scene.checkpoint.slot, "shop");
    expect_action(&scene, START_COPY_AGAIN);
    snprintf(scene.checkpoint.slot, sizeof scene.checkpoint.slot, "another");
    expect_refusal(&scene, "it is unknown which pipeline created it");
}

Test(start, somebody_s_slot_is_adopted_only_without_a_copy) {
    struct scene scene;
    set_scene(&scene);
    nobody_has_a_position(&scene);
    expect_refusal(&scene, "set source.snapshot to never");
    scene.config.source.snapshot = SNAPSHOT_NEVER;
    expect_action(&scene, START_ADOPT);
}

Test(start, a_position_at_the_fork_survives_a_failover_and_one_past_it_does_not) {
    struct error err = {0};
    const struct source_identity identity = {.timeline = 2};
    struct position position = at(100);
    cr_assert(start_check_fork(&position, "first", 0, &identity, &err));
    cr_assert(start_check_fork(&position, "first", 100, &identity, &err));
    cr_assert_not(start_check_fork(&position, "first", 99, &identity, &err));
    cr_assert_eq(err.kind, ERROR_REFUSE);
}
