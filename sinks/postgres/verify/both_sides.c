/* SPDX-License-Identifier: Apache-2.0 */
/*
 * both_sides.c - sends both queries before it waits for the first answer.
 */
#include "sinks/postgres/verify/both_sides.h"

static bool send(struct session *session, const char *sql, const char *parameter, struct error *err) {
    const char *const parameters[] = {parameter};
    if (PQsendQueryParams(session->conn, sql, parameter != NULL ? 1 : 0, NULL, parameters, NULL, NULL, 0) ==
        0)
        return session_error(session, NULL, err);
    return session_flush(session, err);
}

static bool receive(struct session *session, const struct result_shape *shape, PGresult **ret_result,
                    struct error *err) {
    PGresult *result AUTO_PGRESULT = NULL;
    PGresult *mark AUTO_PGRESULT = NULL;
    if (!session_next_result(session, &result, err))
        return false;
    if (PQresultStatus(result) != PGRES_TUPLES_OK)
        return session_error(session, result, err);
    if (!session_next_result(session, &mark, err))
        return false;
    if (mark != NULL)
        return error_set(err, ERROR_PROTOCOL, "%s: more than one answer to %s", session->peer, shape->query);
    if (!result_check(result, session->peer, shape, err))
        return false;
    *ret_result = result;
    result = NULL;
    return true;
}

bool both_sides_ask(struct target_comparison *comparison, const struct both_question *question,
                    struct both_answers *ret_answers, struct error *err) {
    struct session *source = question->is_staged ? &comparison->stage.session : comparison->source;
    return send(source, question->source_sql, question->parameter, err) &&
           send(&comparison->target, question->target_sql, question->parameter, err) &&
           receive(source, &question->shape, &ret_answers->source, err) &&
           receive(&comparison->target, &question->shape, &ret_answers->target, err);
}

void both_answers_release(struct both_answers *answers) {
    PQclear(answers->source);
    PQclear(answers->target);
    *answers = (struct both_answers){0};
}
