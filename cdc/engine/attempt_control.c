/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attempt_control.c - the requests of the control socket, on the supervisor's thread.
 *
 *     ping      ok
 *     reload    ok, once each sink has read its plan of a copy again
 */
#include <string.h>

#include "cdc/engine/attempt.h"

static void begin_reload(struct attempt *attempt) {
    for (size_t i = 0; i < attempt->runner_count; i++)
        runner_reload(&attempt->runners[i]);
    attempt->is_reloading = true;
}

static void end_reload(struct attempt *attempt) {
    for (size_t i = 0; i < attempt->runner_count; i++)
        if (!runner_has_reloaded(&attempt->runners[i]))
            return;
    attempt->is_reloading = false;
    control_answer(&attempt->pipeline->control, "ok");
}

static void obey_request(struct attempt *attempt, const char *request) {
    if (strcmp(request, "ping") == 0)
        control_answer(&attempt->pipeline->control, "ok");
    else if (strcmp(request, "reload") == 0)
        begin_reload(attempt);
    else
        control_answer(&attempt->pipeline->control, "error this engine does not know the request");
}

void attempt_serve(struct attempt *attempt) {
    bool is_gone = false;
    const char *request = control_next(&attempt->pipeline->control, &is_gone);
    if (is_gone)
        attempt->is_reloading = false;
    if (request != NULL)
        obey_request(attempt, request);
    if (attempt->is_reloading)
        end_reload(attempt);
}
