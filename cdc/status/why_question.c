/* SPDX-License-Identifier: Apache-2.0 */
/*
 * why_question.c - a query with its parameters.
 */
#include "cdc/pq/identifier.h"
#include "cdc/status/why_asking.h"

#define SQL_BYTES_MAX (4u << 20)

void question_init(struct question *question, struct arena *arena) {
    question->sql = (struct buffer){.bytes_max = SQL_BYTES_MAX};
    question->count = 0;
    question->arena = arena;
    question->failed = false;
}

void question_release(struct question *question) {
    buffer_release(&question->sql);
}

void question_add_value(struct question *question, struct slice text) {
    const char *copy = arena_copy(question->arena, text);
    question->failed |= copy == NULL || question->count == PARAMETERS_MAX;
    if (question->failed)
        return;
    question->parameters[question->count++] = copy;
    buffer_printf(&question->sql, "$%d", question->count);
}

void question_add_key(struct question *question, const struct named_values *key) {
    for (size_t i = 0; i < key->count; i++) {
        buffer_append_text(&question->sql, i == 0 ? "(" : " and ");
        identifier_append(&question->sql, key->items[i].name);
        if (key->items[i].is_null) {
            buffer_append_text(&question->sql, " is null");
            continue;
        }
        buffer_append_text(&question->sql, " = ");
        question_add_value(question, key->items[i].text);
    }
    buffer_append_text(&question->sql, ")");
}

bool question_ask(struct question *question, struct asking *asking, PGresult **ret_result,
                  struct error *err) {
    buffer_append_text(&question->sql, " limit 1");
    if (question->failed || buffer_text(&question->sql) == NULL)
        return error_no_memory(err);
    if (!session_execute(&asking->session, "savepoint asked", err))
        return false;
    const struct result_shape shape = {"the query for a row", 0, 1, (int) asking->why->key.count,
                                       RESULT_NULL_ANYWHERE};
    if (session_query(&asking->session, question->sql.data, question->count, question->parameters, &shape,
                      ret_result, err))
        return true;
    return err->sqlstate[0] != '\0' && err->kind != ERROR_RETRY &&
           session_execute(&asking->session, "rollback to asked", err);
}
