/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_schema.c - the keys, fixed ones as constants, a sink's from the registry.
 */
#include "cdc/config/config_schema.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static const cyaml_schema_value_t PATTERN = {
    CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char *, 1, CYAML_UNLIMITED),
};

static const cyaml_schema_field_t SOURCE_FIELDS[] = {
    CYAML_FIELD_STRING_PTR("dsn", CYAML_FLAG_POINTER, struct raw_source, dsn, 1, CYAML_UNLIMITED),
    CYAML_FIELD_STRING_PTR("password_file", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct raw_source,
                           password_file, 1, CYAML_UNLIMITED),
    CYAML_FIELD_STRING_PTR("slot", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct raw_source, slot, 1,
                           CYAML_UNLIMITED),
    CYAML_FIELD_STRING_PTR("publication", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct raw_source,
                           publication, 1, CYAML_UNLIMITED),
    CYAML_FIELD_SEQUENCE("publications", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct raw_source,
                         publications, &PATTERN, 1, CYAML_UNLIMITED),
    CYAML_FIELD_SEQUENCE("tables", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct raw_source, tables,
                         &PATTERN, 1, CYAML_UNLIMITED),
    CYAML_FIELD_STRING_PTR("snapshot", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct raw_source, snapshot,
                           1, CYAML_UNLIMITED),
    CYAML_FIELD_STRING_PTR("origin", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct raw_source, origin, 1,
                           CYAML_UNLIMITED),
    CYAML_FIELD_STRING_PTR("decoding_work_mem", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct raw_source,
                           decoding_work_mem, 1, CYAML_UNLIMITED),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t SINK_NAME =
    CYAML_FIELD_STRING_PTR("name", CYAML_FLAG_POINTER, struct raw_sink, name, 1, CYAML_UNLIMITED);
static const cyaml_schema_field_t SINK_TYPE =
    CYAML_FIELD_STRING_PTR("type", CYAML_FLAG_POINTER, struct raw_sink, type, 1, CYAML_UNLIMITED);

/* libcyaml addresses a field by its offset, so one template serves all options. */
static const cyaml_schema_field_t SINK_OPTION = CYAML_FIELD_STRING_PTR(
    "", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct raw_sink, options, 1, CYAML_UNLIMITED);
static const cyaml_schema_field_t SINK_MAPPING = CYAML_FIELD_IGNORE("properties", CYAML_FLAG_OPTIONAL);

size_t config_schema_mapping_length(const char *option_key) {
    size_t length = strlen(option_key);
    return length > 2 && strcmp(option_key + length - 2, ".*") == 0 ? length - 2 : 0;
}

static bool knows_key(const struct config_schema *schema, const char *key) {
    for (size_t i = 0; i < schema->option_count; i++)
        if (strcmp(schema->option_keys[i], key) == 0)
            return true;
    return false;
}

static cyaml_schema_field_t option_field(const char *key, size_t index) {
    if (config_schema_mapping_length(key) != 0) {
        assert(strcmp(key, "properties.*") == 0); /* libcyaml wants the name NUL-terminated */
        return SINK_MAPPING;
    }
    cyaml_schema_field_t field = SINK_OPTION;
    field.key = key;
    field.data_offset += (uint32_t) (index * sizeof(char *));
    return field;
}

static void add_options(struct config_schema *schema, const struct sink_ops *ops) {
    for (const struct sink_option_spec *spec = ops->options; spec->key != NULL; spec++) {
        if (knows_key(schema, spec->key))
            continue;
        assert(schema->option_count < CONFIG_OPTIONS_MAX);
        size_t index = schema->option_count++;
        schema->option_keys[index] = spec->key;
        schema->sink_fields[index + 2] = option_field(spec->key, index);
    }
}

void config_schema_init(struct config_schema *schema) {
    *schema = (struct config_schema){.sink_fields = {SINK_NAME, SINK_TYPE}};
    const struct sink_ops *ops = NULL;
    for (size_t i = 0; (ops = sink_ops_at(i)) != NULL; i++)
        add_options(schema, ops);
    schema->sink =
        (cyaml_schema_value_t){CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct raw_sink, schema->sink_fields)};
    const cyaml_schema_field_t fields[] = {
        CYAML_FIELD_STRING_PTR("name", CYAML_FLAG_POINTER, struct raw_config, name, 1, CYAML_UNLIMITED),
        CYAML_FIELD_MAPPING("source", CYAML_FLAG_DEFAULT, struct raw_config, source, SOURCE_FIELDS),
        CYAML_FIELD_STRING_PTR("state", CYAML_FLAG_POINTER, struct raw_config, state, 1, CYAML_UNLIMITED),
        CYAML_FIELD_SEQUENCE("sinks", CYAML_FLAG_POINTER, struct raw_config, sinks, &schema->sink, 1,
                             CYAML_UNLIMITED),
        CYAML_FIELD_END,
    };
    _Static_assert(sizeof fields == sizeof schema->fields, "the tables have one length");
    memcpy(schema->fields, fields, sizeof fields);
    schema->config =
        (cyaml_schema_value_t){CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct raw_config, schema->fields)};
}

/* libcyaml logs the reason first and then where it stood. */
static void keep_first_line(cyaml_log_t level, void *context, const char *format, va_list arguments) {
    char *reason = context;
    if (level >= CYAML_LOG_ERROR && reason[0] == '\0')
        vsnprintf(reason, ERROR_TEXT_MAX / 2, format, arguments);
}

static cyaml_config_t library_config(char *reason) {
    return (cyaml_config_t){
        .log_fn = keep_first_line,
        .log_ctx = reason,
        .log_level = CYAML_LOG_ERROR,
        .mem_fn = cyaml_mem,
        .flags = CYAML_CFG_NO_ALIAS,
    };
}

bool config_schema_load(const struct config_schema *schema, struct slice text, struct raw_config **ret_raw,
                        struct error *err) {
    char reason[ERROR_TEXT_MAX / 2] = "";
    cyaml_config_t config = library_config(reason);
    cyaml_data_t *data = NULL;
    cyaml_err_t status =
        cyaml_load_data((const uint8_t *) text.data, text.size, &config, &schema->config, &data, NULL);
    if (status == CYAML_ERR_OOM)
        return error_no_memory(err);
    if (status != CYAML_OK)
        return error_set(err, ERROR_CONFIG, "%s", reason[0] != '\0' ? reason : cyaml_strerror(status));
    if (data == NULL)
        return error_set(err, ERROR_CONFIG, "the file is empty");
    *ret_raw = data;
    return true;
}

void config_schema_release(const struct config_schema *schema, struct raw_config *raw) {
    char reason[ERROR_TEXT_MAX / 2] = "";
    cyaml_config_t config = library_config(reason);
    cyaml_free(&config, &schema->config, raw, 0);
}
