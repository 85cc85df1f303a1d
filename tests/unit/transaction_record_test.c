/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transaction_record_test.c - the bytes are those of protobuf-c.
 */
#include "proto/transaction_record.h"

#include <criterion/criterion.h>

#include "proto/change.pb-c.h"
#include "tests/support/random.h"

enum { ROUNDS = 2000, TABLES_MAX = 40 };

struct made {
    struct transaction transaction;
    struct relation relations[TABLES_MAX];
    struct table_count counts[TABLES_MAX];
    struct transaction_record record;
    Pgcdc__V1__Transaction tree;
    Pgcdc__V1__TableCount tables[TABLES_MAX];
    Pgcdc__V1__TableCount *table_list[TABLES_MAX];
    char names[TABLES_MAX][32];
};

static uint64_t random_number(struct random *random) {
    return random_next(random) >> random_below(random, 64) >> 1;
}

static void add_table(struct made *made, size_t i, uint64_t count) {
    static char schema[] = "public";
    snprintf(made->names[i], sizeof made->names[i], "t%zu", i * i * i);
    made->relations[i] = (struct relation){.schema = slice_of(schema), .name = slice_of(made->names[i])};
    made->counts[i] = (struct table_count){.relation = &made->relations[i], .change_count = count};
    pgcdc__v1__table_count__init(&made->tables[i]);
    made->tables[i].schema = schema;
    made->tables[i].table = made->names[i];
    made->tables[i].change_count = count;
    made->table_list[i] = &made->tables[i];
}

static void make(struct made *made, struct random *random) {
    const size_t count = random_below(random, TABLES_MAX + 1);
    for (size_t i = 0; i < count; i++)
        add_table(made, i, random_number(random));
    made->transaction = (struct transaction){.commit_lsn = random_next(random),
                                             .commit_time_us = (int64_t) random_number(random) / 4,
                                             .xid = (xid_t) random_next(random)};
    made->record = (struct transaction_record){.status = random_below(random, 3) + 1,
                                               .transaction = &made->transaction,
                                               .change_count = random_number(random),
                                               .tables = made->counts,
                                               .table_count = count};
    pgcdc__v1__transaction__init(&made->tree);
    made->tree.status = (Pgcdc__V1__TransactionStatus) made->record.status;
    made->tree.commit_lsn = made->transaction.commit_lsn;
    made->tree.commit_time_us = made->transaction.commit_time_us + INT64_C(946684800000000);
    made->tree.xid = made->transaction.xid;
    made->tree.change_count = made->record.change_count;
    made->tree.tables = made->table_list;
    made->tree.n_tables = count;
}

Test(transaction_record, is_byte_for_byte_what_protobuf_c_packs) {
    static struct made made;
    static uint8_t packed[TABLES_MAX * 128];
    struct random random = random_start("transaction_record");
    AUTO(buffer_release) struct buffer buffer = {.bytes_max = 1 << 20};
    struct error err;
    for (int round = 0; round < ROUNDS; round++) {
        make(&made, &random);
        buffer_reset(&buffer);
        cr_assert(transaction_record_write(&made.record, &buffer, &err), "%s", err.text);
        size_t size = pgcdc__v1__transaction__pack(&made.tree, packed);
        cr_assert(slice_equal(buffer_slice(&buffer), (struct slice){.data = (char *) packed, .size = size}),
                  "round %d", round);
    }
}

Test(transaction_record, its_key_is_what_protobuf_c_packs) {
    const struct transaction transaction = {.commit_lsn = UINT64_C(0x1234567890), .xid = 7};
    const struct transaction_record record = {.status = TRANSACTION_END, .transaction = &transaction};
    Pgcdc__V1__TransactionKey tree;
    uint8_t packed[32];
    AUTO(buffer_release) struct buffer buffer = {.bytes_max = 1 << 10};
    struct error err;
    pgcdc__v1__transaction_key__init(&tree);
    tree.commit_lsn = transaction.commit_lsn;
    cr_assert(transaction_record_write_key(&record, &buffer, &err), "%s", err.text);
    size_t size = pgcdc__v1__transaction_key__pack(&tree, packed);
    cr_assert(slice_equal(buffer_slice(&buffer), (struct slice){.data = (char *) packed, .size = size}));
}

Test(transaction_record, a_name_that_is_not_utf8_is_refused) {
    static struct made made;
    struct random random = {.state = 1};
    AUTO(buffer_release) struct buffer buffer = {.bytes_max = 1 << 20};
    struct error err;
    make(&made, &random);
    add_table(&made, 0, 1);
    made.record.table_count = 1;
    made.relations[0].name = slice_of("\xff");
    cr_assert_not(transaction_record_write(&made.record, &buffer, &err));
    cr_assert_eq(err.kind, ERROR_DATA);
    cr_assert_eq(buffer.size, 0);
}
