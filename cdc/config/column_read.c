/* SPDX-License-Identifier: Apache-2.0 */
/*
 * column_read.c - from YAML to steps and masks.
 *
 *     name:  drop | [STEP, ...] | {as:, type:, sql: | const: | meta:, steps: [STEP, ...], mask: MASK, accept_loss:}
 *     STEP:  trim | squeeze | lower | upper | {nullif: TEXT} | {default: TEXT} | {truncate: NUMBER}
 *     MASK:  "null" | {fixed: TEXT} | {hash: sha256, key_file:, length:} | {fpe: digits, key_file:}
 *            | {partial: {keep_first:, keep_last:, with:}}
 */
#include "cdc/config/column_read.h"

#include <stdlib.h>
#include <string.h>

#include "sinks/mapping/mask_key.h"
#include "sinks/mapping/step.h"

enum { STEPS_MAX = 64, NUMBER_MAX = 1000000000, HASH_DIGITS = 64 };

#define EXPECTED_COLUMN                                                                                      \
    "expected drop, a list of steps, or keys: as, type, steps, mask, sql, const, meta, accept_loss"
#define EXPECTED_STEP                                                                                        \
    "expected a step: trim, squeeze, lower, upper, nullif: TEXT, default: TEXT, truncate: NUMBER"
#define EXPECTED_MASK "expected a mask: hash, partial, fpe, fixed or \"null\""

static const struct option_spec COLUMN_KEYS[] = {
    {"as", false, "", OPTION_TEXT, NULL},
    {"type", false, "", OPTION_TEXT, NULL},
    {"steps", false, "", OPTION_LIST, NULL},
    {"mask", false, "", OPTION_ANY, NULL},
    {"const", false, "", OPTION_ANY, NULL},
    {"meta", false, "", OPTION_TEXT, NULL},
    {"sql", false, "", OPTION_TEXT, NULL},
    {"accept_loss", false, "", OPTION_TEXT, NULL},
    {0},
};

/* The column that is being read. */
struct column_reader {
    const struct section *section; /* of its keys; or of `columns`, with its name as key */
    const char *key;
    struct column_rule *column;
    struct step *steps; /* STEPS_MAX of them */
    struct error *err;
};

static bool refuse_value(const struct column_reader *reader, const char *problem) {
    return section_error(reader->section, reader->key, NULL, reader->err, "%s", problem);
}

static struct config_document *document_of(const struct column_reader *reader) {
    return &reader->section->file->document;
}

static bool add_step(struct column_reader *reader, struct step step) {
    if (reader->column->step_count == STEPS_MAX)
        return refuse_value(reader, "too many steps");
    reader->steps[reader->column->step_count++] = step;
    return true;
}

/* A copy: the document does not outlive the reading. Empty is a value, too. */
static bool keep_text(struct column_reader *reader, const yaml_node_t *node, const char **ret_text) {
    const char *text = config_document_text(node);
    if (text == NULL)
        return refuse_value(reader, "expected one value, not a list or a mapping");
    *ret_text = arena_copy(reader->section->file->arena, slice_of(text));
    return *ret_text != NULL || error_no_memory(reader->err);
}

static bool read_number(struct column_reader *reader, const yaml_node_t *node, uint32_t *ret_number) {
    const char *text = config_document_text(node);
    char *end = NULL;
    const unsigned long number =
        text != NULL && text[0] >= '0' && text[0] <= '9' ? strtoul(text, &end, 10) : 0;
    *ret_number = (uint32_t) number;
    return (end != NULL && *end == '\0' && number <= NUMBER_MAX) || refuse_value(reader, "expected a number");
}

/* ---- steps ---- */

static bool read_word_step(struct column_reader *reader, const char *word) {
    static const enum step_kind KINDS[] = {STEP_TRIM, STEP_SQUEEZE, STEP_LOWER, STEP_UPPER};
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++)
        if (strcmp(step_name(KINDS[i]), word) == 0)
            return add_step(reader, (struct step){.kind = KINDS[i]});
    return refuse_value(reader, EXPECTED_STEP);
}

/* {nullif: TEXT}: one pair. */
static bool read_pair_step(struct column_reader *reader, const yaml_node_t *node) {
    static const enum step_kind KINDS[] = {STEP_NULLIF, STEP_DEFAULT};
    struct step step = {.kind = STEP_TRUNCATE};
    const yaml_node_t *value = NULL;
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS && value == NULL; i++) {
        value = config_document_get(document_of(reader), node, step_name(KINDS[i]));
        if (value != NULL)
            step.kind = KINDS[i];
    }
    if (value != NULL)
        return keep_text(reader, value, &step.text) && add_step(reader, step);
    value = config_document_get(document_of(reader), node, step_name(STEP_TRUNCATE));
    return value != NULL ? read_number(reader, value, &step.number) && add_step(reader, step)
                         : refuse_value(reader, EXPECTED_STEP);
}

static bool read_steps(struct column_reader *reader, const yaml_node_t *list) {
    const yaml_node_t *item = NULL;
    for (size_t i = 0; (item = config_document_item(document_of(reader), list, i)) != NULL; i++) {
        const char *word = config_document_text(item);
        if (word != NULL ? !read_word_step(reader, word) : !read_pair_step(reader, item))
            return false;
    }
    return true;
}

/* ---- masks ---- */

static bool read_key(struct column_reader *reader, const struct section *mask, struct step *step) {
    const char *path = NULL;
    struct mask_key *key = NULL;
    if (!section_path(mask, "key_file", &path, reader->err))
        return false;
    if (!mask_key_read(path, mask->file->arena, &key, reader->err))
        return section_place(mask, "key_file", reader->err);
    step->key = key;
    return true;
}

static bool read_hash(struct column_reader *reader, const struct section *mask) {
    static const char *const HASHES[] = {"sha256", NULL};
    struct step step = {.kind = STEP_HASH};
    size_t hash = 0;
    const yaml_node_t *length = config_document_get(document_of(reader), mask->node, "length");
    return section_word(mask, "hash", HASHES, &hash, reader->err) && read_key(reader, mask, &step) &&
           (length == NULL || read_number(reader, length, &step.number)) &&
           (step.number <= HASH_DIGITS || refuse_value(reader, "length: a hash has 64 digits")) &&
           add_step(reader, step);
}

static bool read_digits(struct column_reader *reader, const struct section *mask) {
    static const char *const ALPHABETS[] = {"digits", NULL};
    struct step step = {.kind = STEP_DIGITS};
    size_t alphabet = 0;
    return section_word(mask, "fpe", ALPHABETS, &alphabet, reader->err) && read_key(reader, mask, &step) &&
           add_step(reader, step);
}

static bool read_partial(struct column_reader *reader, const struct section *mask) {
    static const struct option_spec KEYS[] = {{"keep_first", false, "", OPTION_TEXT, NULL},
                                              {"keep_last", false, "", OPTION_TEXT, NULL},
                                              {"with", false, "", OPTION_TEXT, NULL},
                                              {0}};
    struct section partial;
    struct step step = {.kind = STEP_PARTIAL, .text = "*"};
    if (!section_open(mask, "partial", &partial, reader->err) ||
        !section_check(&partial, KEYS, NULL, NULL, reader->err) ||
        !section_text(&partial, "with", &step.text, reader->err))
        return false;
    const yaml_node_t *first = config_document_get(document_of(reader), partial.node, "keep_first");
    const yaml_node_t *last = config_document_get(document_of(reader), partial.node, "keep_last");
    return (first == NULL || read_number(reader, first, &step.first)) &&
           (last == NULL || read_number(reader, last, &step.last)) && add_step(reader, step);
}

static bool read_fixed(struct column_reader *reader, const struct section *mask) {
    struct step step = {.kind = STEP_FIXED};
    return keep_text(reader, config_document_get(document_of(reader), mask->node, "fixed"), &step.text) &&
           add_step(reader, step);
}

static bool read_mask_keys(struct column_reader *reader) {
    static const struct {
        const char *key;
        bool (*read)(struct column_reader *reader, const struct section *mask);
        struct option_spec keys[4];
    } MASKS[] = {
        {"hash",
         read_hash,
         {{"hash", true, "", OPTION_TEXT, NULL},
          {"key_file", true, "", OPTION_PATH, NULL},
          {"length", false, "", OPTION_TEXT, NULL},
          {0}}},
        {"fpe",
         read_digits,
         {{"fpe", true, "", OPTION_TEXT, NULL}, {"key_file", true, "", OPTION_PATH, NULL}, {0}}},
        {"partial", read_partial, {{"partial", true, "", OPTION_SECTION, NULL}, {0}}},
        {"fixed", read_fixed, {{"fixed", true, "", OPTION_ANY, NULL}, {0}}},
    };
    struct section mask;
    if (!section_open(reader->section, "mask", &mask, reader->err))
        return false;
    for (size_t i = 0; i < sizeof MASKS / sizeof *MASKS; i++)
        if (section_has(&mask, MASKS[i].key))
            return section_check(&mask, MASKS[i].keys, NULL, NULL, reader->err) &&
                   MASKS[i].read(reader, &mask);
    return refuse_value(reader, EXPECTED_MASK);
}

static bool read_mask(struct column_reader *reader, const yaml_node_t *node) {
    const char *word = config_document_text(node);
    reader->key = "mask";
    if (word == NULL)
        return read_mask_keys(reader);
    return strcmp(word, "null") == 0 ? add_step(reader, (struct step){.kind = STEP_NULL})
                                     : refuse_value(reader, EXPECTED_MASK);
}

/* ---- keys ---- */

static bool read_meta(struct column_reader *reader) {
    static const char *const WORDS[] = {"commit_lsn", "commit_time", "xid", "index",
                                        "operation",  "table",       NULL};
    static const enum column_source SOURCES[] = {COLUMN_COMMIT_LSN, COLUMN_COMMIT_TIME, COLUMN_XID,
                                                 COLUMN_INDEX,      COLUMN_OPERATION,   COLUMN_TABLE};
    size_t word = 0;
    if (!section_word(reader->section, "meta", WORDS, &word, reader->err))
        return false;
    reader->column->source = SOURCES[word];
    return true;
}

static bool read_const(struct column_reader *reader, const yaml_node_t *node) {
    reader->key = "const";
    reader->column->source = COLUMN_CONST;
    return keep_text(reader, node, &reader->column->text);
}

static bool read_sql(struct column_reader *reader) {
    reader->key = "sql";
    if (!section_text(reader->section, "sql", &reader->column->sql, reader->err))
        return false;
    reader->column->source = COLUMN_SQL;
    return reader->column->sql[strspn(reader->column->sql, " \t\r\n")] != '\0' ||
           refuse_value(reader, "the expression is empty");
}

/* A value that is not made of the row needs no steps. */
static bool check_one_source(struct column_reader *reader, bool has_const, bool has_meta) {
    reader->key = has_const ? "const" : "meta";
    if (has_const && has_meta)
        return refuse_value(reader, "const and meta cannot be together");
    if ((has_const || has_meta) && reader->column->sql != NULL)
        return refuse_value(reader, "sql and another source of the value cannot be together");
    return (!has_const && !has_meta) || reader->column->step_count == 0 ||
           refuse_value(reader, "such a column has no steps and no mask");
}

static bool read_keys(struct column_reader *reader) {
    static const char *const ANSWERS[] = {"false", "true", NULL};
    const struct section *section = reader->section;
    size_t accepts = 0;
    const yaml_node_t *node = section->node;
    const yaml_node_t *constant = config_document_get(document_of(reader), node, "const");
    const yaml_node_t *mask = config_document_get(document_of(reader), node, "mask");
    const yaml_node_t *steps = config_document_get(document_of(reader), node, "steps");
    if (!section_check(section, COLUMN_KEYS, NULL, NULL, reader->err) ||
        !section_text(section, "as", &reader->column->as, reader->err) ||
        !section_text(section, "type", &reader->column->type, reader->err) ||
        !section_word(section, "accept_loss", ANSWERS, &accepts, reader->err))
        return false;
    reader->column->accepts_loss = accepts == 1;
    reader->key = "steps";
    return (steps == NULL || read_steps(reader, steps)) && (mask == NULL || read_mask(reader, mask)) &&
           (constant == NULL || read_const(reader, constant)) &&
           (!section_has(section, "meta") || read_meta(reader)) &&
           (!section_has(section, "sql") || read_sql(reader)) &&
           check_one_source(reader, constant != NULL, section_has(section, "meta"));
}

static bool read_column(const struct section *columns, const char *name, const yaml_node_t *node,
                        struct column_rule *column, struct error *err) {
    struct section keys;
    struct arena *arena = columns->file->arena;
    struct column_reader reader = {.section = columns, .key = name, .column = column, .err = err};
    *column = (struct column_rule){.name = arena_copy(arena, slice_of(name))};
    reader.steps = arena_alloc_zero(arena, STEPS_MAX * sizeof *reader.steps);
    if (column->name == NULL || reader.steps == NULL)
        return error_no_memory(err);
    column->as = column->name;
    column->steps = reader.steps;
    if (node->type == YAML_SEQUENCE_NODE)
        return read_steps(&reader, node);
    if (node->type == YAML_SCALAR_NODE) {
        column->drops = true;
        return strcmp(config_document_text(node), "drop") == 0 || refuse_value(&reader, EXPECTED_COLUMN);
    }
    if (!section_open(columns, name, &keys, err))
        return false;
    reader.section = &keys;
    return read_keys(&reader);
}

bool column_read_all(const struct section *columns, struct rule *rule, struct error *err) {
    yaml_document_t *yaml = &columns->file->document.yaml;
    const yaml_node_pair_t *pair = columns->node->data.mapping.pairs.start;
    const yaml_node_pair_t *end = columns->node->data.mapping.pairs.top;
    struct column_rule *read =
        arena_alloc_zero(columns->file->arena, (size_t) (end - pair + 1) * sizeof *read);
    if (read == NULL)
        return error_no_memory(err);
    rule->columns = read;
    for (; pair < end; pair++) {
        const char *name = config_document_text(yaml_document_get_node(yaml, pair->key));
        if (!read_column(columns, name, yaml_document_get_node(yaml, pair->value),
                         &read[rule->column_count++], err))
            return false;
    }
    return true;
}
