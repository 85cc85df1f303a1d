/* SPDX-License-Identifier: Apache-2.0 */
/*
 * status_json.h - what the page shows, as one line of JSON: /status.json, and each event of /events.
 *
 * LSNs are texts, times are milliseconds or microseconds as their names say, and null is "not known". It
 * contains names, numbers and the lines of health; no row's value, and no key.
 */
#pragma once

#include "cdc/base/json_writer.h"
#include "cdc/http/history.h"

/* points: how many of the last points of history are put. The writer has begun; the caller finishes it. */
void status_json_put(const struct view *view, struct history *history, size_t points,
                     struct json_writer *json);
