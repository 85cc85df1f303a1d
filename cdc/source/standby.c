/* SPDX-License-Identifier: Apache-2.0 */
/*
 * standby.c - asks a standby for its timeline.
 */
#include "cdc/source/standby.h"

#include <inttypes.h>

enum { STANDBY_VERSION_MIN = 160000 };

bool standby_check_version(const struct session *source, struct error *err) {
    if (!session_is_standby(source) || source->server_version >= STANDBY_VERSION_MIN)
        return true;
    error_set(err, ERROR_CONFIG,
              "the source is a standby of PostgreSQL %d, and logical decoding on a standby requires 16 or "
              "later",
              source->server_version / 10000);
    return error_remedy(err, "let source.dsn point to the primary (target_session_attrs=read-write)");
}

bool standby_open(struct standby *standby, const struct source_config *config,
                  const struct source_identity *identity, const atomic_bool *stop, struct error *err) {
    return !identity->is_standby || source_open_replication(&standby->replication, config, stop, err);
}

bool standby_check_timeline(struct standby *standby, uint32_t timeline, struct error *err) {
    struct source_identity identity;
    if (standby->replication.conn == NULL)
        return true;
    if (!source_identify(&standby->replication, &identity, err))
        return false;
    return identity.timeline == timeline ||
           error_set(err, ERROR_RETRY,
                     "source: it was promoted, or follows a promoted primary: its timeline is now %" PRIu32
                     ", and was %" PRIu32,
                     identity.timeline, timeline);
}

void standby_close(struct standby *standby) {
    session_close(&standby->replication);
}
