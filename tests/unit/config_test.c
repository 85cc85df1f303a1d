/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_test.c - what a configuration file says, and what is said about a bad one, word for word.
 *
 * The types of sink are the test's own, so that a new real one changes no expectation.
 */
#include "cdc/config/config.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/random.h"

static const struct option_spec POSTGRES_OPTIONS[] = {
    {.key = "dsn", .required = true, .help = "how to connect"},
    {.key = "password_file", .kind = OPTION_PATH},
    {0},
};
static const struct option_spec KAFKA_OPTIONS[] = {
    {.key = "brokers", .required = true, .help = "host:port,..."},
    {.key = "topic"},
    {.key = "properties", .kind = OPTION_MAP},
    {0},
};
static void no_target(const struct sink_config *config, struct session_options *ret_options) {
    (void) config;
    (void) ret_options;
}

static const struct sink_admin_ops DATABASE = {.target = no_target};
static const struct sink_ops TYPES[] = {
    {.type = "postgres", .options = POSTGRES_OPTIONS, .admin = &DATABASE},
    {.type = "kafka", .options = KAFKA_OPTIONS},
};

const struct sink_ops *sink_ops_at(size_t index) {
    return index < sizeof TYPES / sizeof TYPES[0] ? &TYPES[index] : NULL;
}

const struct sink_ops *sink_ops_find(const char *type) {
    for (size_t i = 0; i < sizeof TYPES / sizeof TYPES[0]; i++)
        if (strcmp(TYPES[i].type, type) == 0)
            return &TYPES[i];
    return NULL;
}

const char *sink_config_find(const struct sink_config *config, const char *key) {
    for (size_t i = 0; i < config->option_count; i++)
        if (strcmp(config->options[i].key, key) == 0)
            return config->options[i].value;
    return NULL;
}

#define HEAD "name: shop\nsource:\n  dsn: host=a password=SECRET\n" /* lines 1 to 3 */
#define TAIL "state: /var/lib/pgcdc\nsinks:\n  - name: warehouse\n    type: postgres\n    dsn: host=b\n"

static const char PATH[] = "shop.yaml";

static void write_file(const char *text, size_t size) {
    FILE *file = fopen(PATH, "w");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(text, 1, size, file), size);
    cr_assert_eq(fclose(file), 0);
}

/* Each test has a folder of its own, and the relative path is what errors begin with. */
static void enter_folder(void) {
    char folder[] = "/tmp/pgcdc_config_XXXXXX";
    cr_assert_not_null(mkdtemp(folder));
    cr_assert_eq(chdir(folder), 0);
}

static void leave_folder(void) {
    char folder[256];
    cr_assert_not_null(getcwd(folder, sizeof folder));
    unlink(PATH);
    rmdir(folder);
}

TestSuite(config, .init = enter_folder, .fini = leave_folder);

static struct config *read_good(const char *text) {
    struct config *config = NULL;
    struct error err = {0};
    write_file(text, strlen(text));
    cr_assert(config_read(PATH, &config, &err), "%s", err.text);
    return config;
}

static void assert_says(const char *text, size_t size, const char *expected) {
    struct config *config = NULL;
    struct error err = {0};
    write_file(text, size);
    cr_assert_not(config_read(PATH, &config, &err), "this was taken for good, not: %s", expected);
    cr_assert_null(config);
    cr_assert_eq(err.kind, ERROR_CONFIG);
    cr_expect_str_eq(err.text, expected);
    cr_assert_null(strstr(err.text, "SECRET"));
}

static const char MANY[] =
    HEAD TAIL "migrate:\n  databases:\n    - Shop\n    - {source: a.b, target: \"c 'd\"}\n"
              "  create: yes\n  roles: create\n";

Test(config, has_a_pipeline_for_each_database) {
    struct config *config = read_good(MANY);
    struct error err = {0};
    cr_assert_eq(config->migrate.database_count, 2);
    cr_assert(config->migrate.creates);
    cr_assert(config->migrate.makes_roles);
    cr_assert_null(config_find_database(config, "shop"));
    cr_assert(config_choose_database(config, config_find_database(config, "a.b"), &err), "%s", err.text);
    cr_expect_str_eq(config->name, "shop_a_b");
    cr_expect_str_eq(config->server_pipeline, "shop");
    cr_expect_str_eq(config->source.slot, "shop_a_b");
    cr_expect_str_eq(config->source.publication_array, "{shop_a_b}");
    cr_expect_str_eq(config->source.application, "pgcdc:shop_a_b");
    cr_expect_str_eq(config->state, "/var/lib/pgcdc/shop_a_b");
    cr_expect_str_eq(config->source.dsn, " password='SECRET' host='a' dbname='a.b'");
    cr_expect_str_eq(sink_config_find(&config->sinks[0].sink, "dsn"), " host='b' dbname='c \\'d'");
    cr_expect_str_eq(config->sinks[0].sink.pipeline, "shop_a_b");
    config_free(config);
}

Test(config, of_a_chosen_database_stays_that_when_read_again) {
    struct config *config = read_good(MANY), *again = NULL;
    struct error err = {0};
    cr_assert(config_choose_database(config, &config->migrate.databases[0], &err));
    cr_assert(config_read_again(config, &again, &err), "%s", err.text);
    cr_expect_str_eq(again->name, "shop_shop");
    config_free(again);
    write_file(HEAD TAIL, strlen(HEAD TAIL));
    cr_assert_not(config_read_again(config, &again, &err));
    cr_expect_str_eq(err.text, "shop.yaml has no database Shop any more");
    config_free(config);
}

Test(config, has_what_the_file_says) {
    struct config *config = read_good("name: shop\n"
                                      "source:\n"
                                      "  dsn: host=a\n"
                                      "  password_file: /run/secrets/source\n"
                                      "  slot: shop_slot\n"
                                      "  publication: Shop Publication\n"
                                      "  tables: [\"public.*\", sales.orders_*]\n"
                                      "  snapshot: never\n"
                                      "  decoding_work_mem: 1GB\n"
                                      "state: /var/lib/pgcdc\n"
                                      "sinks:\n"
                                      "  - {name: warehouse, type: postgres, dsn: host=b}\n"
                                      "  - name: events\n"
                                      "    type: kafka\n"
                                      "    brokers: 127.0.0.1:9092\n"
                                      "    properties: {compression.codec: zstd, linger.ms: 5}\n");
    cr_assert_str_eq(config->path, "shop.yaml");
    cr_assert_str_eq(config->name, "shop");
    cr_assert_str_eq(config->state, "/var/lib/pgcdc");
    cr_assert_str_eq(config->source.dsn, "host=a");
    cr_assert_str_eq(config->source.password_file, "/run/secrets/source");
    cr_assert_str_eq(config->source.slot, "shop_slot");
    cr_assert_str_eq(config->source.publication, "Shop Publication");
    cr_assert_str_eq(config->source.decoding_work_mem, "1GB");
    cr_assert_eq(config->source.snapshot, SNAPSHOT_NEVER);
    cr_assert_eq(config->source.table_count, 2);
    cr_assert_str_eq(config->source.tables[1].schema, "sales");
    cr_assert_str_eq(config->source.tables[1].name, "orders_*");
    cr_assert_eq(config->sink_count, 2);
    cr_assert_eq(config->copy.mode, COPY_MODE_LIVE);
    cr_assert_eq(config->copy.new_tables, NEW_TABLES_COPY);
    cr_assert_eq(config->copy.chunk_bytes, 64u << 20);
    cr_assert_str_eq(config->sinks[0].sink.name, "warehouse");
    cr_assert_str_eq(config->sinks[0].sink.pipeline, "shop");
    cr_assert_eq(config->sinks[0].ops, &TYPES[0]);
    cr_assert_str_eq(sink_config_find(&config->sinks[0].sink, "dsn"), "host=b");
    cr_assert_eq(config->sinks[0].sink.option_count, 1);
    cr_assert_str_eq(sink_config_find(&config->sinks[1].sink, "brokers"), "127.0.0.1:9092");
    cr_assert_str_eq(sink_config_find(&config->sinks[1].sink, "properties.compression.codec"), "zstd");
    cr_assert_str_eq(sink_config_find(&config->sinks[1].sink, "properties.linger.ms"), "5");
    config_free(config);
}

Test(config, has_defaults) {
    struct config *config = read_good(HEAD TAIL);
    cr_assert_str_eq(config->source.slot, "shop");
    cr_assert_str_eq(config->source.publication, "shop");
    cr_assert_str_eq(config->source.decoding_work_mem, "256MB");
    cr_assert_eq(config->source.snapshot, SNAPSHOT_INITIAL);
    cr_assert_eq(config->source.table_count, 0);
    cr_assert_null(config->source.password_file);
    config_free(config);
}

Test(config, takes_variables_from_the_environment) {
    setenv("PGCDC_TEST_HOST", "db.example", 1);
    setenv("PGCDC_TEST_CODEC", "lz4", 1);
    struct config *config =
        read_good("name: shop\nsource: {dsn: \"host=${PGCDC_TEST_HOST} password=a$$b$c$\"}\nstate: /s\n"
                  "sinks:\n  - name: k\n    type: kafka\n    brokers: ${PGCDC_TEST_HOST}:9092\n"
                  "    properties: {compression.codec: \"${PGCDC_TEST_CODEC}\"}\n");
    cr_assert_str_eq(config->source.dsn, "host=db.example password=a$b$c$");
    cr_assert_str_eq(sink_config_find(&config->sinks[0].sink, "brokers"), "db.example:9092");
    cr_assert_str_eq(sink_config_find(&config->sinks[0].sink, "properties.compression.codec"), "lz4");
    config_free(config);
}

struct bad {
    const char *text;
    const char *expected;
};

static const struct bad BAD[] = {
    {"", "shop.yaml:1: the file is empty"},
    {"# only a comment\n", "shop.yaml:1: the file is empty"},
    {"shop\n", "shop.yaml:1: the file: expected a mapping (lines of key: value)"},
    {"name: [\n", "shop.yaml:2: did not find expected node content"},
    {"name: shop\n\tsource: x\n", "shop.yaml:2: found a tab character that violates indentation"},
    {HEAD "  dsn: host=SECRET\n" TAIL, "shop.yaml:4: duplicate key"},
    {HEAD "  snapshott: initial\n" TAIL, "shop.yaml:4: source.snapshott: unknown key; did you mean snapshot? "
                                         "source takes dsn, archive, password_file, slot, publication, "
                                         "publications, tables, snapshot, origin, "
                                         "decoding_work_mem, streaming, pushdown, failover"},
    {HEAD "  password=SECRET: 1\n" TAIL,
     "shop.yaml:4: source....: unknown key; source takes dsn, "
     "archive, password_file, slot, publication, publications, tables, snapshot, "
     "origin, decoding_work_mem, streaming, pushdown, failover"},
    {HEAD "sink: []\n" TAIL,
     "shop.yaml:4: sink: unknown key; did you mean sinks? the file takes name, source, copy, verify, "
     "sequences, schema, cutover, migrate, accept, http, log, log_level, buffer, state, signals, "
     "sinks, mapping, ddl"},
    {HEAD TAIL "    brokres: x\n", "shop.yaml:9: sinks[0].brokres: unknown key; a sink of type postgres "
                                   "takes name, type, dsn, password_file"},
    {HEAD TAIL "    password_fiel: x\n", "shop.yaml:9: sinks[0].password_fiel: unknown key; did you mean "
                                         "password_file? a sink of type postgres takes name, "
                                         "type, dsn, password_file"},
    {HEAD "http: {}\n" TAIL, "shop.yaml:4: http.listen: this key is required and missing"},
    {HEAD "http: {listen: 'localhost:9187'}\n" TAIL,
     "shop.yaml:4: http.listen: expected a numeric address and a port: 127.0.0.1:9187 or [::1]:9187"},
    {HEAD "http: {listen: '127.0.0.1:9187', stalled_after: 10ms}\n" TAIL,
     "shop.yaml:4: http.stalled_after: expected a duration of at least 1s: 10s"},
    {HEAD "cutover: {fence: wall}\n" TAIL,
     "shop.yaml:4: cutover.fence: expected locks, read_only or external"},
    {HEAD "cutover: {outage_max: long}\n" TAIL, "shop.yaml:4: cutover.outage_max: expected a duration: 60s"},
    {HEAD "cutover: {accept_left_behind: [views]}\n" TAIL,
     "shop.yaml:4: cutover.accept_left_behind: expected large_objects, unlogged_tables or sequences"},
    {HEAD "migrate: {databases: [a, a]}\n" TAIL,
     "shop.yaml:4: migrate.databases: database a is listed twice"},
    {HEAD "migrate: {databases: [a-b, A_b]}\n" TAIL,
     "shop.yaml:4: migrate.databases: the pipelines of databases a-b and A_b would both have the name "
     "shop_a_b; "
     "give one another name: {source: A_b, name: NAME}"},
    {HEAD "migrate: {databases: [a, {source: b, target: a}]}\n" TAIL,
     "shop.yaml:4: migrate.databases: databases a and b have the same target database, a"},
    {HEAD "migrate: {databases: [{target: a}]}\n" TAIL,
     "shop.yaml:4: migrate.databases[0].source: this key is required and missing"},
    {HEAD "migrate: {databases: [{source: a, sink: b}]}\n" TAIL,
     "shop.yaml:4: migrate.databases[0].sink: unknown key; migrate.databases[0] takes source, target, name"},
    {HEAD "migrate: {databases: [{source: a, name: A}]}\n" TAIL,
     "shop.yaml:4: migrate.databases: name: expected 1 to 50 of a-z, 0-9 and _"},
    {HEAD "migrate: {databases: [a23456789012345678901234567890123456789012345678]}\n" TAIL,
     "shop.yaml:4: migrate.databases: the pipeline of database "
     "a23456789012345678901234567890123456789012345678 "
     "would have a name of 53 bytes, and 50 are allowed; give it a shorter one: {source: "
     "a23456789012345678901234567890123456789012345678, name: NAME}"},
    {HEAD "migrate: {databases: [[a]]}\n" TAIL,
     "shop.yaml:4: migrate.databases[0]: expected a mapping (lines of key: value)"},
    {HEAD "  slot: one\nmigrate: {databases: [a]}\n" TAIL,
     "shop.yaml:4: source.slot: a slot is of one database, and migrate.databases has several; remove the "
     "key: "
     "each slot has the name of its pipeline"},
    {HEAD "migrate: {databases: [a]}\n" TAIL "  - {name: k, type: kafka, brokers: b}\n",
     "shop.yaml:4: migrate.databases: needs a source and one sink that is a database, and no buffer"},
    {HEAD "migrate: {create: yes}\n" TAIL,
     "shop.yaml:4: migrate.create: needs databases: the list of the databases that move"},
    {HEAD "migrate: {roles: all}\n" TAIL, "shop.yaml:4: migrate.roles: expected check or create"},
    {HEAD "sequences: {follow: some}\n" TAIL, "shop.yaml:4: sequences.follow: expected none, tables or all"},
    {HEAD "sequences: {headroom: -1}\n" TAIL,
     "shop.yaml:4: sequences.headroom: expected a number of values: 1000"},
    {"name: shop\nsource:\n  archive: /a\nsequences: {follow: all}\n" TAIL,
     "shop.yaml:4: sequences.follow: source.archive has no sequences; expected none"},
    {"source: {dsn: host=a}\n" TAIL, "shop.yaml:1: name: this key is required and missing"},
    {"name: shop\n" TAIL, "shop.yaml:1: source: this key is required and missing"},
    {"name: shop\nsource: {slot: a}\n" TAIL, "shop.yaml:2: source.dsn: this key is required and missing"},
    {HEAD "state: /s\n", "shop.yaml:1: sinks: this key is required and missing"},
    {HEAD "state: /s\nsinks: []\n", "shop.yaml:5: sinks: the list is empty"},
    {HEAD "state: /s\nsinks: warehouse\n", "shop.yaml:5: sinks: expected a list (lines that begin with -)"},
    {HEAD "state: /s\nsinks: [a]\n", "shop.yaml:5: sinks[0]: expected a mapping (lines of key: value)"},
    {HEAD "state: /s\nsinks:\n  - {type: postgres, dsn: a}\n",
     "shop.yaml:6: sinks[0].name: this key is required and missing"},
    {HEAD "state: /s\nsinks:\n  - {name: a, dsn: a}\n",
     "shop.yaml:6: sinks[0].type: this key is required and missing"},
    {"name: shop\nsource: postgres://u:SECRET@h/d\n" TAIL,
     "shop.yaml:2: source: expected a mapping (lines of key: value)"},
    {"name: shop\nsource: {dsn: [host=SECRET]}\n" TAIL,
     "shop.yaml:2: source.dsn: expected one value, not a list or a mapping"},
    {"name: shop\nsource:\n  dsn:\n" TAIL, "shop.yaml:3: source.dsn: the value is empty"},
    {"name: shop\nsource:\n  dsn: ''\n" TAIL, "shop.yaml:3: source.dsn: the value is empty"},
    {HEAD "  tables: public.*\n" TAIL,
     "shop.yaml:4: source.tables: expected a list (lines that begin with -)"},
    {HEAD "  tables: []\n" TAIL, "shop.yaml:4: source.tables: the list is empty"},
    {HEAD "  tables: [public.a, {b: c}]\n" TAIL,
     "shop.yaml:4: source.tables[1]: expected one value, not a list or a mapping"},
    {HEAD "  tables: [public.a, orders]\n" TAIL,
     "shop.yaml:4: source.tables: entry 2: expected schema.table, where * matches any characters and a "
     "name may be in "
     "double quotes"},
    {HEAD "  tables: [*]\n" TAIL, "shop.yaml:4: did not find expected alphabetic or numeric character"},
    {HEAD "  tables: [*.orders]\n" TAIL,
     "shop.yaml:4: did not find expected alphabetic or numeric character"},
    {HEAD "  snapshot: sometimes\n" TAIL, "shop.yaml:4: source.snapshot: expected initial or never"},
    {HEAD "  decoding_work_mem: 64 -c fsync=off\n" TAIL,
     "shop.yaml:4: source.decoding_work_mem: expected a whole number and a unit, kB, MB or GB: 256MB"},
    {HEAD "  slot: Shop\n" TAIL, "shop.yaml:4: source.slot: expected 1 to 63 of a-z, 0-9 and _"},
    {HEAD "  slot: ${PGCDC_TEST_UNSET}\n" TAIL,
     "shop.yaml:4: source.slot: the environment variable PGCDC_TEST_UNSET is not set"},
    {HEAD "  slot: ${SECRET-WORD}\n" TAIL, "shop.yaml:4: source.slot: \"${\" does not begin a ${VARIABLE}; "
                                           "write \"$${\" for the characters themselves"},
    {HEAD "  slot: ${PGCDC_TEST_EMPTY}\n" TAIL,
     "shop.yaml:4: source.slot: the value is empty after its variables are replaced"},
    {"name: Shop\nsource: {dsn: a}\n" TAIL, "shop.yaml:1: name: expected 1 to 50 of a-z, 0-9 and _"},
    {"name: aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeef\nsource: {dsn: a}\n" TAIL,
     "shop.yaml:1: name: expected 1 to 50 of a-z, 0-9 and _"},
    {HEAD TAIL "  - {name: warehouse, type: postgres, dsn: host=c}\n",
     "shop.yaml:9: sinks[1].name: name already used by sinks[0]"},
    {HEAD TAIL "  - {name: a/b, type: postgres, dsn: host=c}\n",
     "shop.yaml:9: sinks[1].name: expected 1 to 50 of a-z, 0-9 and _"},
    {HEAD TAIL "  - name: other\n    type: mysql\n    host: x\n",
     "shop.yaml:10: sinks[1].type: unknown sink type mysql (known: postgres, kafka)"},
    {HEAD TAIL "  - {name: other, type: kafka}\n",
     "shop.yaml:9: sinks[1].brokers: a sink of type kafka needs this key: host:port,..."},
    {HEAD TAIL "    topic: x\n", "shop.yaml:9: sinks[0].topic: unknown key; a sink of type postgres takes "
                                 "name, type, dsn, password_file"},
    {HEAD TAIL "    properties: {a: b}\n", "shop.yaml:9: sinks[0].properties: unknown key; a sink of type "
                                           "postgres takes name, type, dsn, password_file"},
    {HEAD TAIL "  - {name: k, type: kafka, brokers: a, properties: x}\n",
     "shop.yaml:9: sinks[1].properties: expected a mapping (lines of key: value)"},
    {HEAD TAIL "  - {name: k, type: kafka, brokers: a, properties: {a: [b]}}\n",
     "shop.yaml:9: sinks[1].properties.a: expected one value, not a list or a mapping"},
    {HEAD TAIL "---\nname: other\n",
     "shop.yaml:9: a second document begins here; a file describes one pipeline"},
    {"name: &a shop\n" TAIL, "shop.yaml:1: an anchor (&name) has no meaning here; put the value in quotes"},
    {"name: *a\n" TAIL, "shop.yaml:1: an alias (*name) has no meaning here; put the value in quotes"},
    {"name: !!str shop\n" TAIL, "shop.yaml:1: a tag (!name) has no meaning here; put the value in quotes"},
    {"a: &a [x]\nb: &b [*a, *a]\n",
     "shop.yaml:1: an anchor (&name) has no meaning here; put the value in quotes"},
    {"name: \"shop\\0SECRET\"\n" TAIL, "shop.yaml:1: a value contains a NUL"},
    {"? [a]\n: b\n", "shop.yaml:1: a key must be plain text"},
    {"name: \xff\n", "shop.yaml: byte 6: invalid leading UTF-8 octet"},
    {"name: \x01\n", "shop.yaml: byte 6: control characters are not allowed"},
};

Test(config, says_what_is_wrong_and_where) {
    setenv("PGCDC_TEST_EMPTY", "", 1);
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++)
        assert_says(BAD[i].text, strlen(BAD[i].text), BAD[i].expected);
}

Test(config, refuses_a_file_that_is_none) {
    struct config *config = NULL;
    struct error err = {0};
    cr_assert_not(config_read("missing.yaml", &config, &err));
    cr_assert_str_eq(err.text, "missing.yaml: No such file or directory");
    cr_assert_not(config_read("/", &config, &err));
    cr_assert_str_eq(err.text, "/: Is a directory");
    assert_says("name\0shop", 9, "shop.yaml: a NUL byte; this is not a text file");
}

Test(config, refuses_a_huge_file) {
    size_t size = (1 << 20) + 1;
    char *text = malloc(size);
    memset(text, '#', size);
    assert_says(text, size, "shop.yaml: larger than 1048576 bytes");
    free(text);
}

/* Deep nesting must neither overflow the stack nor take for ever. */
Test(config, refuses_deep_nesting, .timeout = 20) {
    size_t size = 1000000;
    char *text = malloc(size);
    struct config *config = NULL;
    struct error err = {0};
    memset(text, '[', size);
    write_file(text, size);
    cr_assert_not(config_read(PATH, &config, &err));
    cr_assert_eq(err.kind, ERROR_CONFIG);
    memset(text, '{', size);
    write_file(text, size);
    cr_assert_not(config_read(PATH, &config, &err));
    free(text);
}

Test(config, refuses_a_mapping_of_endless_keys, .timeout = 20) {
    size_t capacity = 1 << 20;
    char *text = malloc(capacity);
    size_t size = 0;
    for (int i = 0; i < 60000; i++)
        size += (size_t) snprintf(text + size, capacity - size, "k%d: v\n", i);
    assert_says(text, size, "shop.yaml:1: more than 1000 keys");
    free(text);
}

/* A file damaged at random is good or bad, but never the end of the program; sanitizers see the rest. */
Test(config, survives_damage, .timeout = 120) {
    static const char GOOD[] = HEAD "  tables: [\"public.*\", 'a.b']\n" TAIL
                                    "  - {name: k, type: kafka, brokers: a, properties: {a: b, c: d}}\n";
    static const char MARKS[] = "\0\n\t :-[]{}&*!|>'\"%@`,?#$~\xff";
    struct random random = random_start("config");
    for (int round = 0; round < 3000; round++) {
        char text[sizeof GOOD];
        struct config *config = NULL;
        struct error err = {0};
        memcpy(text, GOOD, sizeof GOOD);
        for (uint32_t left = 1 + random_below(&random, 4); left > 0; left--)
            text[random_below(&random, sizeof GOOD - 1)] = MARKS[random_below(&random, sizeof MARKS - 1)];
        write_file(text, sizeof GOOD - 1 - random_below(&random, 20));
        if (config_read(PATH, &config, &err))
            config_free(config);
        else
            cr_assert_eq(err.kind, ERROR_CONFIG, "%s", err.text);
    }
}

Test(config, matches_patterns) {
    static const struct {
        const char *schema, *name, *in_schema, *of_name;
        bool matches;
    } CASES[] = {
        {"public", "orders", "public", "orders", true},
        {"public", "orders", "public", "order", false},
        {"public", "order", "public", "orders", false},
        {"public", "*", "public", "", true},
        {"public", "o*s", "public", "orders", true},
        {"public", "o*s", "public", "orders_2", false},
        {"*", "*_log", "audit", "a_log_log", true},
        {"*", "*a*b*c", "x", "aabbcbc", true},
        {"*", "*a*b*c", "x", "aabbcbcd", false},
        {"a*", "t", "b", "t", false},
        {"p", "t.*", "p", "t.x", true},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        const struct table_pattern pattern = {.schema = CASES[i].schema, .name = CASES[i].name};
        cr_assert_eq(table_pattern_matches(&pattern, CASES[i].in_schema, CASES[i].of_name), CASES[i].matches,
                     "%s.%s against %s.%s", CASES[i].in_schema, CASES[i].of_name, CASES[i].schema,
                     CASES[i].name);
    }
}

Test(config, takes_every_table_when_it_names_none) {
    struct config *config = read_good(HEAD TAIL);
    cr_assert(config_takes_table(&config->source, "any", "table"));
    config_free(config);
    config = read_good(HEAD "  tables: [\"public.*\"]\n" TAIL);
    cr_assert(config_takes_table(&config->source, "public", "orders"));
    cr_assert_not(config_takes_table(&config->source, "sales", "orders"));
    config_free(config);
}

Test(config, the_copy_has_defaults_and_units) {
    static const struct {
        const char *text;
        enum copy_mode mode;
        size_t workers;
        uint64_t chunk_bytes;
    } GOOD[] = {
        {"copy:\n  mode: live\n  workers: 64\n  chunk_bytes: 64kB\n", COPY_MODE_LIVE, 64, UINT64_C(64) << 10},
        {"copy:\n  mode: simple\n  workers: 1\n  chunk_bytes: 64GB\n", COPY_MODE_SIMPLE, 1,
         UINT64_C(64) << 30},
        {"copy:\n  mode: live\n  workers: 007\n", COPY_MODE_LIVE, 7, UINT64_C(64) << 20},
    };
    for (size_t i = 0; i < sizeof GOOD / sizeof *GOOD; i++) {
        char text[512];
        snprintf(text, sizeof text, HEAD "%s" TAIL, GOOD[i].text);
        struct config *config = read_good(text);
        cr_assert_eq(config->copy.mode, GOOD[i].mode);
        cr_assert_eq(config->copy.workers, GOOD[i].workers);
        cr_assert_eq(config->copy.chunk_bytes, GOOD[i].chunk_bytes);
        config_free(config);
    }
}

Test(config, a_wrong_value_of_the_copy_is_refused) {
    static const struct {
        const char *key;
        const char *value;
        const char *expected;
    } WRONG[] = {
        {"mode", "fast", "expected simple or live"},
        {"workers", "0", "expected a number from 1 to 64"},
        {"workers", "65", "expected a number from 1 to 64"},
        {"workers", "-1", "expected a number from 1 to 64"},
        {"workers", "4 threads", "expected a number from 1 to 64"},
        {"chunk_bytes", "64", "expected a whole number and a unit, kB, MB or GB, at most 64GB: 64MB"},
        {"chunk_bytes", "0MB", "expected a whole number and a unit, kB, MB or GB, at most 64GB: 64MB"},
        {"chunk_bytes", "65GB", "expected a whole number and a unit, kB, MB or GB, at most 64GB: 64MB"},
        {"chunk_bytes", "64 MB", "expected a whole number and a unit, kB, MB or GB, at most 64GB: 64MB"},
        {"chunk_bytes", "999999999999MB",
         "expected a whole number and a unit, kB, MB or GB, at most 64GB: 64MB"},
    };
    for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++) {
        char text[512], expected[256];
        snprintf(text, sizeof text, HEAD "copy:\n  %s: %s\n" TAIL, WRONG[i].key, WRONG[i].value);
        snprintf(expected, sizeof expected, "shop.yaml:5: copy.%s: %s", WRONG[i].key, WRONG[i].expected);
        assert_says(text, strlen(text), expected);
    }
}

Test(config, a_schema_moves_whole_unless_the_file_says_otherwise) {
    struct config *config = read_good(HEAD TAIL);
    cr_assert_null(config->schema.pg_dump);
    cr_assert(config->schema.owners);
    cr_assert(config->schema.grants);
    cr_assert_geq(config->schema.jobs, 1);
    config_free(config);
    config = read_good(HEAD "schema:\n  pg_dump: /opt/pg_dump\n  jobs: 9\n  owners: no\n  grants: no\n" TAIL);
    cr_assert_str_eq(config->schema.pg_dump, "/opt/pg_dump");
    cr_assert_eq(config->schema.jobs, 9);
    cr_assert_not(config->schema.owners);
    cr_assert_not(config->schema.grants);
    config_free(config);
}

Test(config, a_wrong_value_of_schema_is_named) {
    static const struct {
        const char *key;
        const char *value;
        const char *expected;
    } WRONG[] = {
        {"jobs", "0", "expected a number from 1 to 64"},
        {"jobs", "65", "expected a number from 1 to 64"},
        {"owners", "true", "expected no or yes"},
        {"grants", "none", "expected no or yes"},
    };
    for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++) {
        char text[512], expected[256];
        snprintf(text, sizeof text, HEAD "schema:\n  %s: %s\n" TAIL, WRONG[i].key, WRONG[i].value);
        snprintf(expected, sizeof expected, "shop.yaml:5: schema.%s: %s", WRONG[i].key, WRONG[i].expected);
        assert_says(text, strlen(text), expected);
    }
}
