/* SPDX-License-Identifier: Apache-2.0 */
/*
 * status_text.h - a status for people and for programs.
 */
#pragma once

#include "cdc/base/json_writer.h"
#include "cdc/status/status.h"

/* A few lines and a table. */
void status_append_text(struct buffer *text, const struct status *status);

/*
 * {"pipeline":"shop","state":"streaming","is_degraded":false,"reason":null,"engine_pid":4711,
 *  "source":{"version":"15.20","database":"shop","system_id":"744...","timeline":1,
 *            "flush_lsn":"0/1A2B3C8"},
 *  "slot":{"name":"shop","exists":true,"active_pid":123,"restart_lsn":"0/1A2B390",
 *          "confirmed_flush_lsn":"0/1A2B3C8","is_failover":true,"waits_for_standbys":null,"wal_status":"reserved","safe_wal_bytes":null,
 *          "retained_bytes":56,"lag_bytes":0},
 *  "sinks":[{"name":"warehouse","type":"postgres","position":"0/1A2B3C8","lag_bytes":0,"age_ms":400,
 *            "stored_in":"sink","conflicts":{"update_missing":2},"rejected":12,
 *            "conflicts_stopped":{"delete_missing":1},
 *            "dead_letters":{"failed":0,"waiting":0,"skipped":0},"paused":null,"error":null}],
 *  "copy":{"state":"running","table":null,"tables_done":3,"table_count":7,"chunks_done":12,"chunk_count":40,
 *          "rows":804331,"bytes":1200000,"bytes_done":1200000,"bytes_estimate":4000000,"bytes_per_s":81000,
 *          "seconds_left":35.0,"tables":[{"sink":"warehouse","schema":"public","table":"orders",
 *          "chunks_done":9,"chunk_count":20,"rows":604331,"bytes_done":900000,"bytes_estimate":2000000,
 *          "bytes_per_s":81000,"seconds_left":14.0}]},
 *  "checkpoint":{"phase":"streaming","generation":12,"sinks":{"warehouse":"0/1A2B3C8"}}}
 *
 * An unknown value is null; "source" and "slot" are null when the source cannot be reached.
 */
void status_put_json(struct json_writer *json, const struct status *status);
