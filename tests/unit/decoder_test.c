/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decoder_test.c - each message of pgoutput, as it should be.
 */
#include "decoder/decoder.h"
#include "tests/support/decoder_session.h"

#define IN_TRANSACTION()                                                                                     \
    AUTO(decoder_session_close) struct decoder_session session = decoder_session_in_transaction()

static void expect_value(const struct value *value, enum value_kind kind, const char *data) {
    cr_assert_eq(value->kind, kind);
    cr_assert(slice_equal(value_slice(value), slice_of(data)), "%.*s", (int) value->size, value->data);
}

Test(decoder, begin_opens_a_transaction) {
    AUTO(decoder_session_close) struct decoder_session session = decoder_session_open();
    cr_assert_not(decoder_in_transaction(session.decoder));
    const struct change *change = take(&session, pgoutput_begin(&session.out, &T1));
    cr_assert_eq(change->kind, CHANGE_BEGIN);
    cr_assert_eq(change->lsn, 0xF00);
    cr_assert_eq(change->transaction->commit_lsn, T1.commit_lsn);
    cr_assert_eq(change->transaction->commit_time_us, T1.commit_time_us);
    cr_assert_eq(change->transaction->xid, T1.xid);
    cr_assert(decoder_in_transaction(session.decoder));
}

Test(decoder, commit_closes_it_and_says_where_the_next_may_begin) {
    AUTO(decoder_session_close) struct decoder_session session = decoder_session_open();
    const struct change *begin = take(&session, pgoutput_begin(&session.out, &T1));
    const struct change *commit = take(&session, pgoutput_commit(&session.out, &T1, T1_END));
    cr_assert_eq(commit->kind, CHANGE_COMMIT);
    cr_assert_eq(commit->end_lsn, T1_END);
    cr_assert_eq(commit->transaction, begin->transaction);
    cr_assert_not(decoder_in_transaction(session.decoder));
}

Test(decoder, a_transaction_may_begin_where_the_last_one_ended) {
    AUTO(decoder_session_close) struct decoder_session session = decoder_session_open();
    take(&session, pgoutput_begin(&session.out, &T1));
    take(&session, pgoutput_commit(&session.out, &T1, T1_END));
    const struct change *begin = take(&session, pgoutput_begin(&session.out, &T2));
    cr_assert_eq(begin->transaction->commit_lsn, T1_END);
}

Test(decoder, relation_type_and_origin_are_nothing_to_hand_on) {
    IN_TRANSACTION();
    struct type_name mood = {.oid = 16500, .schema = slice_of("public"), .name = slice_of("mood")};
    cr_assert_null(take(&session, pgoutput_relation(&session.out, &orders)));
    cr_assert_null(take(&session, pgoutput_origin(&session.out, 7, "upstream")));
    cr_assert_null(take(&session, pgoutput_type(&session.out, &mood)));
    cr_assert_str_eq(decoder_find_type(session.decoder, 16500)->name.data, "mood");
}

/* What a row is of that the server announced and then could not send. */
Test(decoder, a_relation_is_announced_until_its_row_comes) {
    IN_TRANSACTION();
    cr_assert_eq(decoder_announced(session.decoder)->oid, BARE, "the last definition");
    take(&session, pgoutput_insert(&session.out, BARE, NO_TUPLE));
    cr_assert_null(decoder_announced(session.decoder));
}

Test(decoder, an_insert_has_its_relation_and_its_new_values) {
    IN_TRANSACTION();
    struct slice message =
        pgoutput_insert(&session.out, ORDERS, TUPLE(TEXT("1"), NULL_VALUE, BINARY("\0\1\0\0\0\0\0\0\0\7")));
    const struct change *change = take(&session, message);
    cr_assert_eq(change->kind, CHANGE_INSERT);
    cr_assert_str_eq(change->relation->schema.data, "public");
    cr_assert_str_eq(change->relation->name.data, "orders");
    cr_assert_eq(change->relation->identity, REPLICA_IDENTITY_DEFAULT);
    cr_assert_eq(change->relation->key_count, 1);
    cr_assert_eq(change->old_kind, OLD_NONE);
    cr_assert_null(change->old_values);
    expect_value(&change->new_values[0], VALUE_TEXT, "1");
    cr_assert_eq(change->new_values[1].kind, VALUE_NULL);
    cr_assert_eq(change->new_values[2].kind, VALUE_BINARY);
    cr_assert_eq(change->new_values[2].size, 10);
}

Test(decoder, values_are_views_of_the_message) {
    IN_TRANSACTION();
    struct slice message = pgoutput_insert(&session.out, ORDERS, TUPLE(TEXT("1"), TEXT(""), NULL_VALUE));
    const struct change *change = take(&session, message);
    cr_assert_geq(change->new_values[0].data, message.data);
    cr_assert_lt(change->new_values[0].data, message.data + message.size);
    expect_value(&change->new_values[1], VALUE_TEXT, "");
}

Test(decoder, a_table_without_columns_has_rows) {
    IN_TRANSACTION();
    const struct change *change = take(&session, pgoutput_insert(&session.out, BARE, NO_TUPLE));
    cr_assert_eq(change->relation->column_count, 0);
    cr_assert_not_null(change->new_values);
}

Test(decoder, an_update_without_a_key_change_has_no_old_values) {
    IN_TRANSACTION();
    struct slice message =
        pgoutput_update(&session.out, ORDERS, OLD_NONE, NO_TUPLE, TUPLE(TEXT("1"), UNCHANGED, TEXT("9.50")));
    const struct change *change = take(&session, message);
    cr_assert_eq(change->kind, CHANGE_UPDATE);
    cr_assert_eq(change->old_kind, OLD_NONE);
    cr_assert_null(change->old_values);
    cr_assert_eq(change->new_values[1].kind, VALUE_UNCHANGED, "unchanged is neither null nor known");
    expect_value(&change->new_values[2], VALUE_TEXT, "9.50");
}

Test(decoder, a_key_change_can_carry_unchanged_values) {
    IN_TRANSACTION();
    struct slice message =
        pgoutput_update(&session.out, ORDERS, OLD_KEY, TUPLE(TEXT("1"), NULL_VALUE, NULL_VALUE),
                        TUPLE(TEXT("2"), UNCHANGED, TEXT("9.50")));
    const struct change *change = take(&session, message);
    cr_assert_eq(change->old_kind, OLD_KEY);
    expect_value(&change->old_values[0], VALUE_TEXT, "1");
    expect_value(&change->new_values[0], VALUE_TEXT, "2");
    cr_assert_eq(change->new_values[1].kind, VALUE_UNCHANGED, "the old key's null is not the old value");
}

Test(decoder, identity_full_fills_in_what_is_unchanged) {
    IN_TRANSACTION();
    struct slice message = pgoutput_update(&session.out, LINES, OLD_FULL, TUPLE(TEXT("1"), TEXT("long")),
                                           TUPLE(TEXT("2"), UNCHANGED));
    const struct change *change = take(&session, message);
    cr_assert_eq(change->old_kind, OLD_FULL);
    expect_value(&change->new_values[0], VALUE_TEXT, "2");
    expect_value(&change->new_values[1], VALUE_TEXT, "long");
}

/* A value that was left out is large, so the null beside it says only that a partition did not log it. */
Test(decoder, a_null_does_not_fill_in_what_is_unchanged) {
    IN_TRANSACTION();
    struct slice message = pgoutput_update(&session.out, LINES, OLD_FULL, TUPLE(TEXT("1"), NULL_VALUE),
                                           TUPLE(TEXT("2"), UNCHANGED));
    cr_assert_eq(take(&session, message)->new_values[1].kind, VALUE_UNCHANGED);
}

enum { LEAF = 17000, OTHER_LEAF };
static struct column by_order[] = {COLUMN("order_id", 20, true), COLUMN("text", 25, false)};
static struct column by_text[] = {COLUMN("text", 25, true), COLUMN("order_id", 20, false)};
static struct column by_nothing[] = {COLUMN("order_id", 20, false), COLUMN("text", 25, false)};

static void send_definition(struct decoder_session *session, const struct relation *definition) {
    struct change *change = NULL;
    cr_assert(decoder_decode(session->decoder, 1, pgoutput_relation(&session->out, definition),
                             &session->arena, &change, &session->err));
}

/* As the server does before a leaf's first row. */
static void announce(struct decoder_session *session, const struct relation *root, oid_t oid, char identity,
                     struct column *columns) {
    struct relation leaf = *root;
    leaf.oid = oid;
    leaf.identity = (enum replica_identity) identity;
    leaf.columns = columns;
    send_definition(session, root);
    send_definition(session, &leaf);
}

static const struct change *insert_line(struct decoder_session *session) {
    return take(session, pgoutput_insert(&session->out, LINES, TUPLE(TEXT("1"), TEXT("x"))));
}

static struct slice delete_line(struct decoder_session *session, struct value order_id, struct value text) {
    const struct value values[] = {order_id, text};
    return pgoutput_delete(&session->out, LINES, OLD_FULL, (struct tuple){values, 2});
}

static const struct value ONE = TEXT("1"), NONE = NULL_VALUE;

Test(decoder, a_full_root_over_keyed_leaves_knows_the_key_alone) {
    IN_TRANSACTION();
    announce(&session, &lines, LEAF, 'd', by_order);
    const struct change *change = take(&session, delete_line(&session, ONE, NONE));
    cr_assert_eq(change->old_kind, OLD_KEY);
    cr_assert_eq(change->relation->key_count, 1);
    cr_assert(change->relation->columns[0].is_key);
    cr_assert_not_null(
        strstr(refuse_row(&session, delete_line(&session, NONE, ONE)), "does not identify its row"));
}

Test(decoder, a_leaf_that_is_altered_is_known_from_its_next_row_on) {
    IN_TRANSACTION();
    announce(&session, &lines, LEAF, 'f', line_columns);
    const struct change *whole = take(&session, delete_line(&session, ONE, NONE));
    cr_assert_eq(whole->old_kind, OLD_FULL, "the null is the row's");
    announce(&session, &lines, LEAF, 'i', by_text);
    const struct change *key = take(&session, delete_line(&session, NONE, ONE));
    cr_assert_eq(key->old_kind, OLD_KEY);
    cr_assert(key->relation->columns[1].is_key);
    cr_assert_not(key->relation->columns[0].is_key);
    cr_assert_eq(whole->relation->key_count, 2, "a definition never changes");
}

Test(decoder, a_leaf_that_is_attached_is_known_from_its_first_row_on) {
    IN_TRANSACTION();
    announce(&session, &lines, LEAF, 'f', line_columns);
    insert_line(&session);
    announce(&session, &lines, OTHER_LEAF, 'd', by_order);
    cr_assert_eq(take(&session, delete_line(&session, ONE, NONE))->old_kind, OLD_KEY);
}

Test(decoder, a_leaf_that_is_detached_and_sent_by_itself_is_forgotten) {
    IN_TRANSACTION();
    announce(&session, &lines, LEAF, 'd', by_order);
    insert_line(&session);
    struct relation detached = lines;
    detached.oid = LEAF;
    send_definition(&session, &detached);
    take(&session, pgoutput_insert(&session.out, LEAF, TUPLE(TEXT("1"), TEXT("x"))));
    announce(&session, &lines, OTHER_LEAF, 'i', by_text);
    cr_assert_eq(take(&session, delete_line(&session, NONE, ONE))->old_kind, OLD_KEY);
}

Test(decoder, tables_truncated_together_are_no_root_and_leaf) {
    IN_TRANSACTION();
    struct relation other = lines;
    other.oid = LEAF;
    other.identity = REPLICA_IDENTITY_DEFAULT;
    other.columns = by_text;
    send_definition(&session, &lines);
    send_definition(&session, &other);
    const oid_t oids[] = {LINES, LEAF};
    take(&session, pgoutput_truncate(&session.out, 0, 2, oids));
    const struct change *change = take(&session, delete_line(&session, ONE, NONE));
    cr_assert_eq(change->old_kind, OLD_FULL);
    cr_assert_not(change->relation->is_tree);
}

Test(decoder, a_root_without_a_key_over_full_leaves_knows_the_whole_row) {
    IN_TRANSACTION();
    struct relation root = lines;
    root.identity = REPLICA_IDENTITY_DEFAULT;
    root.columns = by_nothing;
    announce(&session, &root, LEAF, 'f', line_columns);
    const struct change *change =
        take(&session, pgoutput_delete(&session.out, LINES, OLD_KEY, TUPLE(TEXT("1"), NULL_VALUE)));
    cr_assert_eq(change->old_kind, OLD_FULL);
    cr_assert_eq(change->relation->identity, REPLICA_IDENTITY_FULL);
}

Test(decoder, leaves_with_different_keys_tell_no_row) {
    IN_TRANSACTION();
    announce(&session, &lines, LEAF, 'd', by_order);
    insert_line(&session);
    announce(&session, &lines, OTHER_LEAF, 'd', by_text);
    struct slice update =
        pgoutput_update(&session.out, LINES, OLD_NONE, NO_TUPLE, TUPLE(TEXT("1"), TEXT("x")));
    cr_assert_not_null(strstr(refuse_row(&session, update), "does not identify its row"));
}

/* orders has a key of id and a column that is not sent, which is made of note. */
static void hide_key(struct decoder_session *session) {
    static const struct slice columns[] = {NAME("id"), NAME("note")};
    static const struct table_key key = {.oid = ORDERS,
                                         .columns_max = 9,
                                         .may_hide = true,
                                         .primary = {.column_count = 2, .sent_count = 1, .age = KEY_OLD},
                                         .identity = REPLICA_IDENTITY_DEFAULT,
                                         .columns = columns,
                                         .column_count = 2,
                                         .sent_count = 1,
                                         .columns_age = KEY_OLD};
    decoder_set_table_keys(session->decoder, (struct table_keys){&key, 1, true});
    struct relation again = orders;
    again.name = slice_of("again");
    send_definition(session, &again);
}

Test(decoder, a_key_that_is_not_sent_is_what_determines_it) {
    IN_TRANSACTION();
    hide_key(&session);
    const struct change *change = take(&session, pgoutput_update(&session.out, ORDERS, OLD_NONE, NO_TUPLE,
                                                                 TUPLE(TEXT("1"), TEXT("x"), TEXT("1"))));
    cr_assert_eq(change->relation->key_count, 2);
    struct slice by_key =
        pgoutput_delete(&session.out, ORDERS, OLD_KEY, TUPLE(TEXT("1"), NULL_VALUE, NULL_VALUE));
    cr_assert_not_null(strstr(refuse_row(&session, by_key), "does not identify its row"));
}

Test(decoder, a_key_that_is_not_sent_and_made_of_a_large_value_tells_no_row) {
    IN_TRANSACTION();
    hide_key(&session);
    struct slice update =
        pgoutput_update(&session.out, ORDERS, OLD_NONE, NO_TUPLE, TUPLE(TEXT("1"), UNCHANGED, TEXT("1")));
    cr_assert_not_null(strstr(refuse_row(&session, update), "does not identify its row"));
}

/* The certainty of orders' key, which is id, for what the catalog says; 0 columns: the table was dropped. */
static enum key_certainty certainty_of(struct decoder_session *session, struct table_key key) {
    key.oid = ORDERS;
    decoder_set_table_keys(session->decoder, (struct table_keys){&key, key.columns_max > 0, true});
    struct relation again = orders;
    again.name = slice_of("again");
    send_definition(session, &again);
    return take(session, pgoutput_insert(&session->out, ORDERS, TUPLE(TEXT("1"), NULL_VALUE, NULL_VALUE)))
        ->relation->certainty;
}

Test(decoder, a_key_is_certain_only_when_the_catalog_proves_it) {
    IN_TRANSACTION();
    const struct key_index whole = {.column_count = 1, .sent_count = 1, .age = KEY_OLD};
    struct table_key key = {.columns_max = 9, .may_hide = true, .identity = REPLICA_IDENTITY_DEFAULT};
    key.primary = whole;
    cr_assert_eq(certainty_of(&session, key), KEY_CERTAIN);
    key.primary.age = KEY_ALTERED;
    cr_assert_eq(certainty_of(&session, key), KEY_LIKELY);
    key.primary.age = KEY_ORIGINAL;
    key.created_by = T1.xid - 1;
    cr_assert_eq(certainty_of(&session, key), KEY_CERTAIN);
    key.created_by = T1.xid;
    cr_assert_eq(certainty_of(&session, key), KEY_LIKELY, "the table's own transaction may have altered it");
    key.primary.column_count = 2;
    cr_assert_eq(certainty_of(&session, key), KEY_DOUBTFUL);
    key.primary = (struct key_index){0};
    key.index = whole;
    cr_assert_eq(certainty_of(&session, key), KEY_DOUBTFUL, "the key was of another kind");
    key.columns_max = orders.column_count;
    cr_assert_eq(certainty_of(&session, key), KEY_CERTAIN, "it never had a column that was not sent");
    cr_assert_eq(certainty_of(&session, (struct table_key){.columns_max = 9}), KEY_CERTAIN);
    cr_assert_eq(certainty_of(&session, (struct table_key){0}), KEY_LIKELY);
}

Test(decoder, an_insert_that_a_row_filter_made_of_an_update_is_marked_when_not_whole) {
    IN_TRANSACTION();
    struct slice message = pgoutput_insert(&session.out, ORDERS, TUPLE(TEXT("1"), UNCHANGED, NULL_VALUE));
    const struct change *change = take(&session, message);
    cr_assert(change->is_partial);
    cr_assert_not(change_refuse_partial(change, &session.err));
    cr_assert_eq(session.err.kind, ERROR_DATA);
    cr_assert_not_null(strstr(session.err.text, "enter the publication's row filter"));
    cr_assert_not_null(strstr(session.err.remedy, "needs a new copy"));
}

Test(decoder, a_delete_has_only_old_values) {
    IN_TRANSACTION();
    struct slice by_key =
        pgoutput_delete(&session.out, ORDERS, OLD_KEY, TUPLE(TEXT("1"), NULL_VALUE, NULL_VALUE));
    const struct change *change = take(&session, by_key);
    cr_assert_eq(change->kind, CHANGE_DELETE);
    cr_assert_eq(change->old_kind, OLD_KEY);
    cr_assert_null(change->new_values);
    expect_value(&change->old_values[0], VALUE_TEXT, "1");
    struct slice whole = pgoutput_delete(&session.out, LINES, OLD_FULL, TUPLE(TEXT("1"), NULL_VALUE));
    cr_assert_eq(take(&session, whole)->old_kind, OLD_FULL);
}

Test(decoder, a_truncate_names_all_its_relations_in_order) {
    IN_TRANSACTION();
    const oid_t oids[] = {LINES, ORDERS, BARE};
    struct slice message =
        pgoutput_truncate(&session.out, TRUNCATE_CASCADE | TRUNCATE_RESTART_IDENTITY, 3, oids);
    const struct change *change = take(&session, message);
    cr_assert_eq(change->kind, CHANGE_TRUNCATE);
    cr_assert_eq(change->truncate_flags, TRUNCATE_CASCADE | TRUNCATE_RESTART_IDENTITY);
    cr_assert_eq(change->relation_count, 3);
    for (size_t i = 0; i < 3; i++)
        cr_assert_eq(change->relations[i]->oid, oids[i]);
}

Test(decoder, a_transactional_message_is_part_of_its_transaction) {
    IN_TRANSACTION();
    const struct change *change = take(&session, pgoutput_message(&session.out, 1, 0xABC, "audit", "who"));
    cr_assert_eq(change->kind, CHANGE_MESSAGE);
    cr_assert(change->transactional);
    cr_assert_eq(change->lsn, 0xABC);
    cr_assert(slice_equal(change->prefix, slice_of("audit")));
    cr_assert(slice_equal(change->content, slice_of("who")));
    cr_assert_eq(change->transaction->xid, T1.xid);
}

Test(decoder, a_message_outside_belongs_to_no_transaction) {
    AUTO(decoder_session_close) struct decoder_session session = decoder_session_open();
    const struct change *change = take(&session, pgoutput_message(&session.out, 0, 0xABC, "", ""));
    cr_assert_not(change->transactional);
    cr_assert_null(change->transaction);
    cr_assert_eq(change->prefix.size, 0);
    cr_assert_eq(change->content.size, 0);
}

static uint64_t index_of(struct decoder_session *session, struct slice message) {
    return take(session, message)->index;
}

Test(decoder, the_index_counts_rows_truncates_and_transactional_messages) {
    IN_TRANSACTION();
    struct pgoutput *out = &session.out;
    struct tuple row = TUPLE(TEXT("1"), NULL_VALUE, NULL_VALUE);
    const oid_t oids[] = {ORDERS, LINES};
    cr_assert_eq(index_of(&session, pgoutput_insert(out, ORDERS, row)), 0);
    take(&session, pgoutput_relation(out, &orders));
    cr_assert_eq(index_of(&session, pgoutput_update(out, ORDERS, OLD_NONE, NO_TUPLE, row)), 1);
    cr_assert_eq(index_of(&session, pgoutput_message(out, 1, 1, "p", "c")), 2);
    take(&session, pgoutput_origin(out, 1, "o"));
    take(&session, pgoutput_message(out, 0, 1, "p", "c"));
    cr_assert_eq(index_of(&session, pgoutput_delete(out, ORDERS, OLD_KEY, row)), 3);
    cr_assert_eq(index_of(&session, pgoutput_truncate(out, 0, 2, oids)), 4, "one truncate is one change");
    cr_assert_eq(index_of(&session, pgoutput_insert(out, ORDERS, row)), 5);
}

Test(decoder, the_index_starts_again_with_each_transaction) {
    IN_TRANSACTION();
    struct tuple row = TUPLE(TEXT("1"), NULL_VALUE, NULL_VALUE);
    cr_assert_eq(index_of(&session, pgoutput_insert(&session.out, ORDERS, row)), 0);
    cr_assert_eq(index_of(&session, pgoutput_insert(&session.out, ORDERS, row)), 1);
    take(&session, pgoutput_commit(&session.out, &T1, T1_END));
    take(&session, pgoutput_begin(&session.out, &T2));
    cr_assert_eq(index_of(&session, pgoutput_insert(&session.out, ORDERS, row)), 0);
}

Test(decoder, an_empty_schema_means_pg_catalog) {
    IN_TRANSACTION();
    struct relation builtin = orders;
    builtin.schema = slice_of("");
    take(&session, pgoutput_relation(&session.out, &builtin));
    struct slice message = pgoutput_insert(&session.out, ORDERS, TUPLE(TEXT("1"), NULL_VALUE, NULL_VALUE));
    cr_assert_str_eq(take(&session, message)->relation->schema.data, "pg_catalog");
    struct type_name type = {.oid = 16500, .schema = slice_of(""), .name = slice_of("t")};
    take(&session, pgoutput_type(&session.out, &type));
    cr_assert_str_eq(decoder_find_type(session.decoder, 16500)->schema.data, "pg_catalog");
}

Test(decoder, a_relation_changed_in_mid_transaction_leaves_earlier_changes_alone) {
    IN_TRANSACTION();
    struct tuple row = TUPLE(TEXT("1"), NULL_VALUE, NULL_VALUE);
    const struct change *before = take(&session, pgoutput_insert(&session.out, ORDERS, row));
    struct relation narrower = orders;
    narrower.column_count = 1;
    take(&session, pgoutput_relation(&session.out, &narrower));
    const struct change *after = take(&session, pgoutput_insert(&session.out, ORDERS, TUPLE(TEXT("2"))));
    cr_assert_eq(before->relation->column_count, 3);
    cr_assert_str_eq(before->relation->columns[2].name.data, "total");
    cr_assert_eq(after->relation->column_count, 1);
}

Test(decoder, rows_of_two_tables_alternate) {
    IN_TRANSACTION();
    for (int i = 0; i < 10; i++) {
        struct slice order = pgoutput_insert(&session.out, ORDERS, TUPLE(TEXT("1"), NULL_VALUE, NULL_VALUE));
        struct slice line = pgoutput_insert(&session.out, LINES, TUPLE(TEXT("1"), NULL_VALUE));
        cr_assert_eq(take(&session, order)->relation->oid, ORDERS);
        cr_assert_eq(take(&session, line)->relation->oid, LINES);
    }
}

/*
 * Once the batch in which a transaction had begun was handed on, another thread could reset its arena before
 * the decoder had moved the transaction to the next batch: it then read memory that was taken back.
 */
Test(decoder, a_transaction_goes_on_when_its_first_arena_was_reset) {
    IN_TRANSACTION();
    struct arena next;
    arena_init(&next, 1024, 1024 * 1024);
    arena_reset(&session.arena); /* a sanitizer sees any use of what was there */
    struct slice message = pgoutput_insert(&session.out, ORDERS, TUPLE(TEXT("1"), NULL_VALUE, NULL_VALUE));
    struct change *change = NULL;
    cr_assert(decoder_decode(session.decoder, 1, message, &next, &change, &session.err));
    cr_assert_eq(change->transaction->commit_lsn, T1.commit_lsn);
    cr_assert_eq(change->transaction->xid, T1.xid);
    arena_reset(&next);
    cr_assert(decoder_decode(session.decoder, 1, message, &next, &change, &session.err));
    cr_assert_eq(change->transaction->commit_lsn, T1.commit_lsn, "in the same arena, which was reset");
    arena_release(&next);
}

Test(decoder, an_arena_at_its_maximum_is_an_error_and_not_a_crash) {
    IN_TRANSACTION();
    struct arena tiny;
    arena_init(&tiny, 8, 8);
    struct change *change = NULL;
    struct slice message = pgoutput_insert(&session.out, ORDERS, TUPLE(TEXT("1"), NULL_VALUE, NULL_VALUE));
    cr_assert_not(decoder_decode(session.decoder, 1, message, &tiny, &change, &session.err));
    cr_assert_eq(session.err.kind, ERROR_SYSTEM);
    cr_assert_null(change);
    arena_release(&tiny);
}

Test(decoder, free_accepts_null) {
    decoder_free(NULL);
}
